"""Whole configurations as people have them, and what they come to."""

from __future__ import annotations

from tests.config.reading import read


def test_macros_of_all_kinds_in_one_command() -> None:
    config = read(
        """
        startPort: 9990
        macros:
          svr-path: "path/to/server"
          argOne: "--arg1"
          argTwo: "--arg2"
          autoPort: "--port ${PORT}"
          overriddenByModelMacro: failed
        models:
          model1:
            macros:
              overriddenByModelMacro: success
            cmd: |
              ${svr-path} ${argTwo}
              # ${argTwo} here is a comment, and so is ${nobody}
              ${autoPort}
              ${argOne}
              --arg3 three
              --overridden ${overriddenByModelMacro}
            cmdStop: |
              /path/to/stop.sh --port ${PORT} ${argTwo}
        """
    )
    (model,) = config.models.values()
    assert " ".join(model.argv) == (
        "path/to/server --arg2 --port 9990 --arg1 --arg3 three --overridden success"
    )
    assert " ".join(model.stop_argv) == "/path/to/stop.sh --port 9990 --arg2"


def test_ids_in_commands_and_ports_in_the_order_of_ids() -> None:
    config = read(
        """
        startPort: 9000
        macros:
          docker-llama: docker run --name ${MODEL_ID} -p ${PORT}:8080 docker_img
          docker-stop: docker stop ${MODEL_ID}
        models:
          model1:
            cmd: /path/to/server -p ${PORT} -hf ${MODEL_ID}
          model2:
            cmd: ${docker-llama}
            cmdStop: ${docker-stop}
          author/model:F16:
            cmd: /path/to/server -p ${PORT} -hf ${MODEL_ID}
            cmdStop: stop
        """
    )
    assert {name: " ".join(model.argv) for name, model in config.models.items()} == {
        "model1": "/path/to/server -p 9001 -hf model1",
        "model2": "docker run --name model2 -p 9002:8080 docker_img",
        "author/model:F16": "/path/to/server -p 9000 -hf author/model:F16",
    }
    assert config.models[list(config.models)[1]].stop_argv == ("docker", "stop", "model2")


def test_a_configuration_with_a_bit_of_everything() -> None:
    config = read(
        """
        macros:
          svr-path: "path/to/server"
        hooks:
          on_startup:
            preload: ["model1", "model2"]
        models:
          model1:
            cmd: path/to/cmd --arg1 one
            proxy: "http://localhost:8080"
            aliases:
              - "m1"
              - "model-one"
            env:
              - "VAR1=value1"
              - "VAR2=value2"
            checkEndpoint: "/health"
          model2:
            cmd: ${svr-path} --arg1 one
            proxy: "http://localhost:8081"
            aliases:
              - "m2"
            checkEndpoint: "/"
          model3:
            cmd: path/to/cmd --arg1 one
            proxy: "http://localhost:8082"
            aliases: [mthree]
            checkEndpoint: "/"
          model4:
            cmd: path/to/cmd --arg1 one
            proxy: "http://localhost:8083"
            checkEndpoint: "/"
        healthCheckTimeout: 15
        profiles:
          test:
            pins:
              fast: model1
              disabled: ~
        groups:
          group1:
            swap: true
            exclusive: false
            members: ["model2"]
          forever:
            exclusive: false
            persistent: true
            members:
              - "model4"
        """
    )
    assert config.aliases == {
        "m1": "model1",
        "model-one": "model1",
        "m2": "model2",
        "mthree": "model3",
    }
    assert {name: group.members for name, group in config.groups.items()} == {
        "group1": ("model2",),
        "forever": ("model4",),
        "(default)": ("model1", "model3"),
    }
    assert config.preload == ("model1", "model2")
    assert config.profiles["test"].pins == {"fast": "model1", "disabled": None}
    assert [model.start_timeout for model in config.models.values()] == [15] * 4
    assert config.warnings == ()


def test_macros_feed_macros_of_models_and_numbers_stay_numbers() -> None:
    config = read(
        """
        macros: {PORT_NUMBER: 10001, TEMP: 0.5, CTX: 16384.0, ON: true}
        models:
          test-model:
            macros: {TEMP: 0.9, NAME: "model-${MODEL_ID}"}
            cmd: server --port ${PORT} --ctx ${CTX} --name ${NAME}
            metadata:
              port: ${PORT_NUMBER}
              temperature: ${TEMP}
              on: "${ON}"
              note: "Running on port ${PORT_NUMBER} with temp ${TEMP} and context ${CTX}"
              list: ["model:${NAME}", "port:${PORT}"]
              nested: {deep: {port: "${PORT}"}}
        """
    )
    (model,) = config.models.values()
    assert model.argv[3:] == ("--ctx", "16384", "--name", "model-test-model")
    assert model.metadata == {
        "port": 10001,
        "temperature": 0.9,
        "on": True,
        "note": "Running on port 10001 with temp 0.9 and context 16384",
        "list": ["model:model-test-model", "port:5800"],
        "nested": {"deep": {"port": 5800}},
    }


def test_environment_macros_in_every_corner() -> None:
    config = read(
        """
        # ${env.NOT_SET} in a comment is nobody's business
        macros:
          path: "${env.MODELS}/${env.NAME}.gguf"   # nor is ${env.NOT_SET} here
        apiKeys: [${env.KEY}, "static"]
        peers:
          openrouter:
            proxy: https://openrouter.ai/api
            apiKey: "${env.KEY}"
            models: [a]
            filters: {stripParams: "${env.STRIP}", setParams: {user: "${env.NAME}", n: ${env.MAX}}}
        models:
          "m":
            cmd: ${env.BIN}/llama-server --port ${PORT} -m ${path} --name ${MODEL_ID}
            cmdStop: "${env.BIN}/stop ${PID}"
            env: ["LOGIN=${env.NAME}:${env.KEY}"]
        """,
        {
            "MODELS": "/data/models",
            "NAME": "test",
            "KEY": "sk-1",
            "STRIP": "a, b",
            "BIN": "/opt/b",
            "MAX": "4096",
        },
    )
    (model,) = config.models.values()
    assert model.argv[0] == "/opt/b/llama-server"
    assert model.argv[4] == "/data/models/test.gguf"
    assert model.stop_argv == ("/opt/b/stop", "${PID}")
    assert model.env == ("LOGIN=test:sk-1",)
    assert config.api_keys == ("sk-1", "static")
    peer = config.peers["openrouter"]
    assert (peer.api_key, peer.filters.strip_params) == ("sk-1", ("a", "b"))
    assert peer.filters.set_params == {"n": 4096, "user": "test"}
