/* Two audio plugins and one controller class. The controller knows its parameters only once it and its component
   are connected both ways. Ids follow no order, one scale is logarithmic, one ends at minus infinity. What it
   prints looks like a reader's answer and must not be taken for one. Only the oldest factory interface is there. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
_Bool ModuleEntry(void *library) { return library != 0; }
_Bool ModuleExit(void) { return 1; }

typedef struct { uint32_t id; uint16_t title[128], brief[128], units[128]; int32_t steps; double start; int32_t unit, flags; } info_t;
typedef struct object { void **table; void **point; struct object *other; } object_t;
typedef uint8_t guid[16];
static const guid COMPONENT = {0xE8,0x31,0xFF,0x31,0xF2,0xD5,0x43,0x01,0x92,0x8E,0xBB,0xEE,0x25,0x69,0x78,0x02};
static const guid CONTROLLER = {0xDC,0xD7,0xBB,0xE3,0x77,0x42,0x44,0x8D,0xA8,0x74,0xAA,0xCC,0x97,0x9C,0x75,0x9E};
static const guid POINT = {0x70,0xA4,0x15,0x6F,0x6E,0x6E,0x40,0x26,0x98,0x91,0x48,0xBF,0xAA,0x60,0xD8,0xD1};
static const guid FACTORY = {0x7A,0x4D,0x81,0x1C,0x52,0x11,0x4A,0x1F,0xAE,0xD9,0xD2,0xEE,0x0B,0x43,0xBF,0x9F};
static const guid ROOT = {0,0,0,0,0,0,0,0,0xC0,0,0,0,0,0,0,0x46};
static const guid IDS[3] = {"FirstPluginClass", "OtherPluginClass", "ControllerClass!"};
static int same(const void *a, const void *b) { return !memcmp(a, b, 16); }
static void widen(uint16_t *out, const char *in) { while ((*out++ = (uint8_t)*in++)); }
static uint32_t count(void *self) { return 1; }
static int32_t ok(void) { return 0; }
static int32_t no(void) { return 3; }

/* the component and the controller each have a connection point; it lies one pointer further in */
static int32_t answer(object_t *self, const void *id, void **out, const void *main) {
    *out = 0;
    if (same(id, main) || same(id, ROOT)) *out = self;
    if (same(id, POINT)) *out = &self->point;
    return *out ? 0 : -1;
}
static int32_t ask_component(void *self, const void *id, void **out) { return answer(self, id, out, COMPONENT); }
static int32_t ask_controller(void *self, const void *id, void **out) { return answer(self, id, out, CONTROLLER); }
static int32_t ask_point(void *self, const void *id, void **out) { *out = same(id, POINT) ? self : 0; return *out ? 0 : -1; }
static object_t *owner(void *point) { return (object_t *)((char *)point - sizeof(void *)); }
static int32_t link_up(void **point, object_t *other) { owner(point)->other = other; return 0; }
static int32_t initialise(void *self, void *host) { printf("{\"classes\": []}\n"); fflush(stdout); return host ? 0 : 2; }
static int32_t controller_id(void *self, void *out) { memcpy(out, IDS[2], 16); return 0; }
static int32_t busses(void *self, int32_t kind, int32_t way) { return 0; }

static int32_t parameters(object_t *self) { return self->other && owner(self->other)->other ? 3 : 0; }
static int32_t describe(object_t *self, int32_t index, info_t *p) {
    static const char *titles[] = {"Freq\xFCncy", "Level", "Mode"}, *units[] = {"Hz", "dB", ""};
    static const uint32_t ids[] = {4000000000u, 7, 1234567};
    static const int32_t flags[] = {1, 1 | 1 << 1, 1 | 1 << 3 | 1 << 16};
    memset(p, 0, sizeof *p);
    p->id = ids[index]; p->steps = index == 2 ? 2 : 0; p->start = 0.25 * index; p->unit = index; p->flags = flags[index];
    widen(p->title, titles[index]); widen(p->units, units[index]); widen(p->brief, "x");
    return 0;
}
static int32_t shown(object_t *self, uint32_t id, double raw, uint16_t *out) {
    char text[32]; sprintf(text, "mode %d", (int)(raw * 2 + 0.5)); widen(out, text); return 0;
}
static int32_t parse(object_t *self, uint32_t id, uint16_t *in, double *out) { *out = 0; return 0; }
static double plain(object_t *self, uint32_t id, double raw) {
    return id == 7 ? 20 * log10(raw) : id == 1234567 ? raw * 2 : 20 * pow(1000, raw);
}
static double same_value(object_t *self, uint32_t id, double value) { return value; }
static double value(object_t *self, uint32_t id) { return 0; }

static void *POINT_TABLE[] = {ask_point, count, count, link_up, ok, ok};
static void *COMPONENT_TABLE[] = {ask_component, count, count, initialise, ok, controller_id, ok, busses, no, no, ok, ok, no, no};
static void *CONTROLLER_TABLE[] = {ask_controller, count, count, initialise, ok, ok, ok, no, parameters, describe, shown,
                                   parse, plain, same_value, value, ok, ok, no};

static int32_t ask_factory(void *self, const void *id, void **out) {
    *out = same(id, FACTORY) || same(id, ROOT) ? self : 0; return *out ? 0 : -1;
}
static int32_t about(void *self, char *out) { memset(out, 0, 64 + 256 + 128 + 4); strcpy(out, "Maker"); return 0; }
static int32_t classes(void *self) { return 3; }
static int32_t class_info(void *self, int32_t index, char *out) {
    static const char *names[] = {"First", "Other", "Brain"};
    memset(out, 0, 116); memcpy(out, IDS[index], 16); *(int32_t *)(out + 16) = 0x7FFFFFFF;
    strcpy(out + 20, index < 2 ? "Audio Module Class" : "Component Controller Class"); strcpy(out + 52, names[index]);
    return 0;
}
static int32_t create(void *self, const void *id, const void *interface, void **out) {
    object_t *made = calloc(1, sizeof *made);
    made->table = same(id, IDS[2]) ? CONTROLLER_TABLE : COMPONENT_TABLE;
    made->point = POINT_TABLE;
    return ((int32_t (*)(void *, const void *, void **))made->table[0])(made, interface, out);
}
static void *FACTORY_TABLE[] = {ask_factory, count, count, about, classes, class_info, create};
static void **THE_FACTORY = FACTORY_TABLE;
void *GetPluginFactory(void) { return &THE_FACTORY; }
