/* A stand-in for libnvidia-ml.so.1 that answers from the file named by NVML_STANDIN: lines of `KEY VALUE`.
 *
 * Signatures, return values and structures are those of NVIDIA's public nvml.h (API of driver 535 and newer).
 * A key is what was asked (`driver`, `gpu0.name`, `gpu0.slice1.uuid`); what has no line is answered with
 * NVML_ERROR_NOT_SUPPORTED. `fail.CALL NUMBER` and `fail.gpu0.CALL NUMBER` make a call return that nvmlReturn_t,
 * `hang.CALL SECONDS` makes it take so long.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, INVALID_ARGUMENT = 2 };
enum { MAX_LINES = 512, LINE = 256, SLICES = 8 };

typedef struct { int gpu, slice; } Device; /* slice -1: the whole GPU */
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } Memory_v2;
typedef struct { unsigned pid; unsigned long long memory; unsigned gpu_instance, compute_instance; } Process;

static char lines[MAX_LINES][LINE];
static int line_count = -1;
static Device devices[64][SLICES + 1];

static void load(void) {
    if (line_count >= 0) return;
    line_count = 0;
    const char *path = getenv("NVML_STANDIN");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file) return;
    while (line_count < MAX_LINES && fgets(lines[line_count], LINE, file)) {
        lines[line_count][strcspn(lines[line_count], "\n")] = 0;
        line_count++;
    }
    fclose(file);
}

static const char *answer(const char *key) {
    load();
    size_t length = strlen(key);
    for (int i = 0; i < line_count; i++)
        if (!strncmp(lines[i], key, length) && lines[i][length] == ' ') return lines[i] + length + 1;
    return NULL;
}

static const char *of(const Device *device, const char *field) {
    char key[LINE];
    if (!device) return answer(field);
    if (device->slice < 0) snprintf(key, sizeof key, "gpu%d.%s", device->gpu, field);
    else snprintf(key, sizeof key, "gpu%d.slice%d.%s", device->gpu, device->slice, field);
    return answer(key);
}

/* What is to happen at a call before it answers: nothing (0), or the error to return. */
static int before(const char *call, const Device *device) {
    char key[LINE];
    snprintf(key, sizeof key, "hang.%s", call);
    const char *seconds = answer(key);
    if (seconds) sleep((unsigned)atoi(seconds));
    snprintf(key, sizeof key, "fail.%s", call);
    const char *error = answer(key);
    if (!error && device) {
        snprintf(key, sizeof key, "fail.gpu%d.%s", device->gpu, call);
        error = answer(key);
    }
    return error ? atoi(error) : SUCCESS;
}

#define BEFORE(device) do { int failed = before(__func__, device); if (failed) return failed; } while (0)

static int text(const char *value, char *out, unsigned size) {
    if (!value) return NOT_SUPPORTED;
    if (strlen(value) >= size) return INSUFFICIENT_SIZE;
    strcpy(out, value);
    return SUCCESS;
}

static int number(const char *value, unsigned *out) {
    if (!value) return NOT_SUPPORTED;
    *out = (unsigned)strtoul(value, NULL, 10);
    return SUCCESS;
}

static unsigned long long bytes(const Device *device, const char *field) {
    const char *value = of(device, field);
    return value ? strtoull(value, NULL, 10) : 0;
}

int nvmlInitWithFlags(unsigned flags) { (void)flags; BEFORE(NULL); return SUCCESS; }
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { BEFORE(NULL); return SUCCESS; }

int nvmlSystemGetDriverVersion(char *out, unsigned size) { BEFORE(NULL); return text(answer("driver"), out, size); }
int nvmlSystemGetCudaDriverVersion(int *out) { BEFORE(NULL); return number(answer("cuda"), (unsigned *)out); }
int nvmlSystemGetCudaDriverVersion_v2(int *out) { BEFORE(NULL); return number(answer("cuda"), (unsigned *)out); }

int nvmlDeviceGetCount_v2(unsigned *out) { BEFORE(NULL); *out = 0; return number(answer("count"), out); }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device **out) {
    unsigned count = 0;
    number(answer("count"), &count);
    if (index >= count) return INVALID_ARGUMENT;
    *out = &devices[index][0];
    **out = (Device){(int)index, -1};
    BEFORE(*out);
    return SUCCESS;
}

int nvmlDeviceGetName(Device *device, char *out, unsigned size) { BEFORE(device); return text(of(device, "name"), out, size); }
int nvmlDeviceGetUUID(Device *device, char *out, unsigned size) { BEFORE(device); return text(of(device, "uuid"), out, size); }
int nvmlDeviceGetBrand(Device *device, unsigned *out) { BEFORE(device); return number(of(device, "brand"), out); }
int nvmlDeviceGetPowerUsage(Device *device, unsigned *out) { BEFORE(device); return number(of(device, "power"), out); }

int nvmlDeviceGetTemperature(Device *device, unsigned sensor, unsigned *out) {
    BEFORE(device);
    return sensor ? INVALID_ARGUMENT : number(of(device, "temperature"), out);
}

int nvmlDeviceGetCudaComputeCapability(Device *device, int *major, int *minor) {
    BEFORE(device);
    const char *value = of(device, "capability");
    return value && sscanf(value, "%d.%d", major, minor) == 2 ? SUCCESS : NOT_SUPPORTED;
}

int nvmlDeviceGetMemoryInfo(Device *device, Memory *out) {
    BEFORE(device);
    if (!of(device, "memory.total")) return NOT_SUPPORTED;
    out->total = bytes(device, "memory.total");
    out->free = bytes(device, "memory.free");
    out->used = out->total - out->free; /* here what is reserved counts as used */
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo_v2(Device *device, Memory_v2 *out) {
    BEFORE(device);
    if (out->version != (sizeof(Memory_v2) | 2u << 24)) return 25; /* NVML_ERROR_ARGUMENT_VERSION_MISMATCH */
    if (!of(device, "memory.total")) return NOT_SUPPORTED;
    out->total = bytes(device, "memory.total");
    out->reserved = bytes(device, "memory.reserved");
    out->free = bytes(device, "memory.free");
    out->used = out->total - out->reserved - out->free;
    return SUCCESS;
}

static int processes(const Device *device, const char *kind, unsigned *count, Process *out) {
    unsigned known = 0;
    char field[64];
    for (;; known++) {
        snprintf(field, sizeof field, "%s%u", kind, known);
        const char *value = of(device, field);
        if (!value) break;
        if (out && known < *count) {
            Process *process = &out[known];
            *process = (Process){0, 0, 0xFFFFFFFF, 0xFFFFFFFF};
            if (sscanf(value, "%u %llu", &process->pid, &process->memory) < 2) process->memory = ~0ULL; /* not available */
        }
    }
    int fits = known <= *count;
    *count = known;
    return fits ? SUCCESS : INSUFFICIENT_SIZE;
}

int nvmlDeviceGetComputeRunningProcesses_v3(Device *device, unsigned *count, Process *out) {
    BEFORE(device);
    return processes(device, "compute", count, out);
}
int nvmlDeviceGetComputeRunningProcesses_v2(Device *device, unsigned *count, Process *out) {
    BEFORE(device);
    return processes(device, "compute", count, out);
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(Device *device, unsigned *count, Process *out) {
    BEFORE(device);
    return processes(device, "graphics", count, out);
}
int nvmlDeviceGetGraphicsRunningProcesses_v2(Device *device, unsigned *count, Process *out) {
    BEFORE(device);
    return processes(device, "graphics", count, out);
}

int nvmlDeviceGetMigMode(Device *device, unsigned *current, unsigned *pending) {
    BEFORE(device);
    int result = number(of(device, "mig"), current);
    *pending = *current;
    return result;
}

int nvmlDeviceGetMaxMigDeviceCount(Device *device, unsigned *out) { BEFORE(device); *out = 7; return SUCCESS; }

int nvmlDeviceGetMigDeviceHandleByIndex(Device *device, unsigned index, Device **out) {
    BEFORE(device);
    if (index >= 7) return INVALID_ARGUMENT;
    Device slice = {device->gpu, (int)index};
    if (!of(&slice, "uuid")) return NOT_FOUND;
    devices[device->gpu][index + 1] = slice;
    *out = &devices[device->gpu][index + 1];
    return SUCCESS;
}
