/* A stand-in for libnvidia-ml.so.1 with three cards: one in slices (MIG) of which the whole may not be
 * seen, one that has fallen off the bus, and one with an old driver.  NVML says what beginning comes to. */
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6, GPU_IS_LOST = 15 };

typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned gpu, memory; } Utilization;
typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } Pci;

static int cards[3], slices[2];
#define SLICED (card == &cards[0])
#define GIB (1ull << 30)

int nvmlInitWithFlags(unsigned flags) { const char *said = getenv("NVML"); return said ? atoi(said) : SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }
int nvmlSystemGetDriverVersion(char *text, unsigned size) { strncpy(text, "580.95.05", size); return SUCCESS; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 3; return SUCCESS; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **card) {
  *card = &cards[index];
  return index == 1 ? GPU_IS_LOST : SUCCESS;
}

int nvmlDeviceGetName(void *card, char *text, unsigned size) {
  strncpy(text, SLICED ? "NVIDIA H100 80GB HBM3" : "NVIDIA GeForce RTX 3060", size);
  return SUCCESS;
}

int nvmlDeviceGetUUID(void *card, char *text, unsigned size) {
  strncpy(text, SLICED ? "GPU-0" : "GPU-2", size);
  return SUCCESS;
}

/* There is no nvmlDeviceGetMemoryInfo_v2: old drivers have none. */
int nvmlDeviceGetMemoryInfo(void *card, Memory *memory) {
  if (SLICED) return NO_PERMISSION;
  memory->total = (card == &cards[2] ? 12 : 10) * GIB;
  memory->used = 3 * GIB;
  return SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(void *card, unsigned *count) { *count = SLICED ? 7 : 0; return SUCCESS; }

int nvmlDeviceGetMigDeviceHandleByIndex(void *card, unsigned index, void **slice) {
  if (index > 1) return NOT_FOUND;
  *slice = &slices[index];
  return SUCCESS;
}

int nvmlDeviceGetTemperature(void *card, int sensor, unsigned *celsius) { *celsius = 41; return SUCCESS; }

int nvmlDeviceGetUtilizationRates(void *card, Utilization *rates) {
  if (SLICED) return NOT_SUPPORTED;
  rates->gpu = 97, rates->memory = 3;
  return SUCCESS;
}

int nvmlDeviceGetFanSpeed(void *card, unsigned *percent) { *percent = 30; return SLICED ? NOT_SUPPORTED : SUCCESS; }
int nvmlDeviceGetPowerUsage(void *card, unsigned *milliwatts) { *milliwatts = 123456; return SUCCESS; }
int nvmlDeviceGetEnforcedPowerLimit(void *card, unsigned *milliwatts) { *milliwatts = 700000; return SUCCESS; }

int nvmlDeviceGetCudaComputeCapability(void *card, int *major, int *minor) {
  *major = SLICED ? 9 : 8, *minor = SLICED ? 0 : 6;
  return SUCCESS;
}

int nvmlDeviceGetPciInfo_v3(void *card, Pci *pci) {
  pci->domain = 0, pci->bus = SLICED ? 1 : 3, pci->device = 0;
  return SUCCESS;
}
