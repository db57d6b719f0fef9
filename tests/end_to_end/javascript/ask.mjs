// Asks a server with OpenAI's client, and prints what its user gets: one JSON object.
//
//   node ask.mjs answers|errors BASE_URL KEY

import OpenAI from "openai";

const [what, baseURL, apiKey] = process.argv.slice(2);
const settings = { baseURL, apiKey, maxRetries: 0, timeout: 60_000 };
const client = new OpenAI(settings);
const messages = [{ role: "user", content: "hi" }];
const parameters = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
};
const tools = [{ type: "function", function: { name: "weather", parameters } }];

async function answers() {
  return { ...(await chats()), ...(await others()), ...(await lists()) };
}

async function chats() {
  const asked = { model: "a", messages };
  const answer = await client.chat.completions.create(asked);
  const pieces = [];
  let usage = null;
  const stream_options = { include_usage: true };
  for await (const chunk of await client.chat.completions.create({
    ...asked,
    stream: true,
    stream_options,
  })) {
    pieces.push(chunk.choices[0]?.delta.content || "");
    usage = chunk.usage ?? usage;
  }
  const calling = { ...asked, tools, tool_choice: "required" };
  const called = await client.chat.completions.create(calling);
  const streamed = await client.chat.completions.stream(calling).finalMessage();
  return {
    chat: answer.choices[0].message.content,
    pieces: pieces.filter((piece) => piece),
    tokens: usage.total_tokens - usage.prompt_tokens,
    call: called.choices[0].message.tool_calls[0].function,
    streamed_call: streamed.tool_calls[0].function,
  };
}

async function others() {
  const completed = await client.completions.create({ model: "a", prompt: "x", max_tokens: 20 });
  const response = await client.responses.create({ model: "a", input: "hi" });
  const events = [];
  for await (const event of await client.responses.create({
    model: "a",
    input: "hi",
    stream: true,
  })) {
    events.push(event);
  }
  const deltas = events.filter((event) => event.type === "response.output_text.delta");
  const input = ["one", "two"];
  const embedded = await client.embeddings.create({ model: "embed", input });
  return {
    completion: completed.choices[0].text,
    response: response.output_text,
    deltas: deltas.map((event) => event.delta).join(""),
    last: events.at(-1).type,
    widths: embedded.data.map((entry) => entry.embedding.length),
  };
}

async function lists() {
  const models = [];
  for await (const model of client.models.list()) {
    models.push(model.id);
  }
  return { models, retrieved: (await client.models.retrieve("a")).id };
}

async function errors() {
  const create = (more, options) =>
    client.chat.completions.create({ model: "alpha", messages, ...more }, options);
  const large = [{ role: "user", content: "x".repeat(20_000) }];
  const password = `Basic ${btoa(`x:${apiKey}`)}`;
  const breaking = { stream: true, fake: { die_after_chunks: 2 } };
  return {
    key: await errorOf(() => create({}, { headers: { authorization: "Bearer wrong" } })),
    unknown: await errorOf(() => create({ model: "alpa" })),
    unnamed: await errorOf(() => create({ model: 5 })),
    foreign: await errorOf(() =>
      create({}, { headers: { origin: "https://evil.example", authorization: password } }),
    ),
    large: await errorOf(() => create({ messages: large })),
    failed: await errorOf(() => create({ model: "failing" })),
    impatient: await errorOf(() => create({ fake: { hang: true } }, { timeout: 300 })),
    broken: await errorOf(async () => {
      for await (const chunk of await create(breaking)) {
        if (!chunk.id) throw new Error("a chunk without an id");
      }
    }),
  };
}

async function errorOf(ask) {
  try {
    await ask();
  } catch (error) {
    const { constructor, status = null, code = null, message, headers } = error;
    return { class: constructor.name, status, code, message, again: headers?.get("retry-after") };
  }
  return null;
}

console.log(JSON.stringify(await { answers, errors }[what]()));
