/* hotset.h: run Mixture-of-Experts language models that are larger than the GPU, from C.
 *
 *   hotset_engine   a model opened under memory budgets. Opened once, used by any thread.
 *   hotset_session  one timeline of tokens on it, with its own context. Any number of them; one thread at a time each. Those of one engine
 *                   take turns, a token or a chunk of a prompt each.
 *
 * Rules that hold for every function:
 * - It returns HOTSET_OK or another hotset_code. Where the last argument is a hotset_error, that says in one line what is wrong and what to
 *   do ("--vram" is the option "vram"); it may be NULL. Results are written only where HOTSET_OK is returned, but for lengths and counts, which
 *   HOTSET_TOO_SMALL writes too.
 * - Handles are names, not addresses: one that is NULL, closed or of another kind gives HOTSET_INVALID_HANDLE, in any thread.
 * - Structs begin with their size: set it to sizeof, or use the HOTSET_..._INIT macros, so that programs keep working when fields are
 *   added. Fields that are 0 mean the default. What pointers lead to is read during the call only, but for the `user` of a callback.
 * - Text is UTF-8. Text goes out to `buffer` [capacity] with a zero after it, and its length without the zero to *length (may be NULL).
 *   With too little room it is HOTSET_TOO_SMALL and *length says what is needed: call with capacity 0 to ask.
 * - A session is in one call at a time: a second one, of another thread or below a callback, is HOTSET_INVALID_ARGUMENT, but for what is
 *   marked "from callbacks".
 * - Nothing is printed, no signal is handled, the process is never ended, no exception comes out. Callbacks run in the thread that called, or
 *   in the one that the function says; they may call what is marked "from callbacks", and anything with an engine or another session. An
 *   exception must not leave them: it ends the call with HOTSET_INVALID_ARGUMENT.
 * - Sizes are bytes, times nanoseconds, but where a name says otherwise.
 */
#ifndef HOTSET_HOTSET_H
#define HOTSET_HOTSET_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32) && defined(HOTSET_BUILD)
#define HOTSET_API __declspec(dllexport)
#elif defined(_WIN32) && !defined(HOTSET_STATIC)
#define HOTSET_API __declspec(dllimport)
#elif defined(__GNUC__) && defined(HOTSET_BUILD)
#define HOTSET_API __attribute__((visibility("default")))
#else
#define HOTSET_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* --- errors ------------------------------------------------------------------------------------------------------------------- */

typedef int32_t hotset_code;
enum {
  HOTSET_OK = 0,
  HOTSET_INVALID_ARGUMENT = 1, /* asked for something that cannot be */
  HOTSET_NOT_FOUND = 2,        /* no such file, device, option */
  HOTSET_CORRUPT = 3,          /* a file contradicts itself or its format */
  HOTSET_UNSUPPORTED = 4,      /* well formed, but nothing that this build knows */
  HOTSET_OVER_BUDGET = 5,      /* a budget is too small; the message names the least that works */
  HOTSET_OUT_OF_MEMORY = 6,    /* the system or the device refused memory */
  HOTSET_IO = 7,               /* the operating system failed a read or write */
  HOTSET_DEVICE = 8,           /* the driver failed or the device was lost: close the engine and open another */
  HOTSET_CANCELLED = 9,        /* a callback said no, or hotset_session_stop was called; generating says HOTSET_STOP_REQUESTED instead */
  HOTSET_INVALID_HANDLE = 10,  /* NULL, closed, or of another kind */
  HOTSET_TOO_SMALL = 11        /* a buffer has too little room */
};

typedef struct hotset_error {
  size_t size; /* 0: nothing is written */
  hotset_code code;
  char message[500]; /* one line, empty with HOTSET_OK */
} hotset_error;
#define HOTSET_ERROR_INIT {sizeof(hotset_error), 0, {0}}

/* "invalid argument", "device"...; never NULL. The text lives as long as the program. */
HOTSET_API const char* hotset_code_name(hotset_code code);

/* "0.1.0". */
HOTSET_API const char* hotset_version(void);

/* --- options: by name, as the flags of the program (`hotset run --help`) have them ------------------------------------------------ */

typedef struct hotset_options hotset_options;

/* All at their defaults; NULL where the system refuses memory. Of the caller, who destroys it. One thread at a time. */
HOTSET_API hotset_options* hotset_options_create(void);
HOTSET_API hotset_code hotset_options_destroy(hotset_options* options);

/* "vram" "4G", "policy" "lru", "temp" "0"... Errors: HOTSET_NOT_FOUND, no such option; HOTSET_INVALID_ARGUMENT, the value. */
HOTSET_API hotset_code hotset_options_set(hotset_options* options, const char* name, const char* value, hotset_error* error);
/* What hotset_options_set would take to bring the present value about. */
HOTSET_API hotset_code hotset_options_get(const hotset_options* options, const char* name, char* buffer, size_t capacity, size_t* length,
                                          hotset_error* error);

typedef struct hotset_option_info {
  size_t size;
  const char* name;          /* these live as long as the program */
  const char* values;        /* "SIZE", or the choices "f16|f32"; empty for a switch, which takes "true" and "false" */
  const char* help;
  int32_t is_sampler_option; /* else an option of the engine */
} hotset_option_info;
#define HOTSET_OPTION_INFO_INIT {sizeof(hotset_option_info), 0, 0, 0, 0}

HOTSET_API size_t hotset_option_count(void);
HOTSET_API hotset_code hotset_option_at(size_t index, hotset_option_info* info);

/* --- engine: a model with its budgets -------------------------------------------------------------------------------------------- */

typedef struct hotset_engine hotset_engine;

/* How far a load is, of all weights. 0 cancels it: HOTSET_CANCELLED. Not after the call that was given it. */
typedef int32_t (*hotset_progress_function)(void* user, uint64_t done_bytes, uint64_t total_bytes);

enum { HOTSET_LOG_ERROR = 0, HOTSET_LOG_WARN = 1, HOTSET_LOG_INFO = 2, HOTSET_LOG_DEBUG = 3 };
/* A line without its end. Of the thread that called the library; several may at a time. */
typedef void (*hotset_log_function)(void* user, int32_t level, const char* line);

typedef struct hotset_engine_params {
  size_t size;
  const char* model_path;        /* a .gguf, or the first part of a split one; NULL: the model that ships with the library */
  const hotset_options* options; /* NULL: the defaults. Copied. */
  hotset_progress_function progress;
  void* progress_user;
  hotset_log_function log;       /* of this engine and its sessions, until it is closed and no call is under way */
  void* log_user;
  int32_t log_level;             /* HOTSET_LOG_...: lines above it are left out. 0 is HOTSET_LOG_ERROR */
  int32_t text_only;             /* the tokenizer and the chat template alone: no device, no weights; sessions are HOTSET_UNSUPPORTED */
} hotset_engine_params;
#define HOTSET_ENGINE_PARAMS_INIT {sizeof(hotset_engine_params), 0, 0, 0, 0, 0, 0, HOTSET_LOG_INFO, 0}

/* Opens a model on a device of Hotset's own; on one of the program's: hotset_vulkan.h. Seconds for one that has to be read. Errors: what is
 * wrong with the file, the device, or a budget. */
HOTSET_API hotset_code hotset_engine_open(const hotset_engine_params* params, hotset_engine** engine, hotset_error* error);
/* Closes its sessions too: their handles are closed ones then. Calls under way in other threads are asked to end, and memory and threads are
 * given back when the last has; it does not wait for them. From callbacks too. */
HOTSET_API hotset_code hotset_engine_close(hotset_engine* engine);

typedef struct hotset_engine_info {
  size_t size;
  uint32_t vocab_size;
  uint32_t context_tokens;   /* of each session; 0: opened for text only */
  int32_t has_chat_template;
  uint64_t load_ns;
} hotset_engine_info;
#define HOTSET_ENGINE_INFO_INIT {sizeof(hotset_engine_info), 0, 0, 0, 0}

HOTSET_API hotset_code hotset_engine_get_info(hotset_engine* engine, hotset_engine_info* info, hotset_error* error);
HOTSET_API hotset_code hotset_engine_model_name(hotset_engine* engine, char* buffer, size_t capacity, size_t* length, hotset_error* error);
/* "none" where it was opened for text only. */
HOTSET_API hotset_code hotset_engine_device_name(hotset_engine* engine, char* buffer, size_t capacity, size_t* length, hotset_error* error);

/* Budgets, at any time and from any thread: they take effect between two tokens of a session, and tokens do not change. Less memory evicts
 * experts and gives it back; more is filled as experts are used. Errors: HOTSET_OVER_BUDGET with the least that works; HOTSET_UNSUPPORTED
 * where the tier is not used or must hold everything. */
HOTSET_API hotset_code hotset_engine_set_vram(hotset_engine* engine, uint64_t bytes, hotset_error* error);
HOTSET_API hotset_code hotset_engine_set_ram(hotset_engine* engine, uint64_t bytes, hotset_error* error);

/* Under memory pressure: gives back at least so much VRAM now, or as much as can be missed, and lowers the budget by it. *freed (may be NULL):
 * what came free. Any thread. Error: HOTSET_UNSUPPORTED where the CPU runs the model. */
HOTSET_API hotset_code hotset_engine_give_vram_back(hotset_engine* engine, uint64_t bytes, uint64_t* freed, hotset_error* error);

/* --- text -------------------------------------------------------------------------------------------------------------------------- */

typedef int32_t hotset_token;

/* Flags; other bits are HOTSET_INVALID_ARGUMENT. */
enum {
  HOTSET_ADD_SPECIAL = 1,   /* the beginning token, where the model wants one */
  HOTSET_PARSE_SPECIAL = 2, /* special tokens are recognised in the text; not for text of users */
  HOTSET_SHOW_SPECIAL = 4   /* detokenise: special tokens as their text, else as nothing */
};

/* Text of `text_bytes` to ids, to `tokens` [capacity] and *count. HOTSET_TOO_SMALL writes *count and no token. */
HOTSET_API hotset_code hotset_tokenize(hotset_engine* engine, const char* text, size_t text_bytes, uint32_t flags, hotset_token* tokens,
                                       size_t capacity, size_t* count, hotset_error* error);
/* The bytes of tokens, which need not be whole characters. */
HOTSET_API hotset_code hotset_detokenize(hotset_engine* engine, const hotset_token* tokens, size_t count, uint32_t flags, char* buffer,
                                         size_t capacity, size_t* length, hotset_error* error);
/* *is_end: the model ends its text with this token; 0 also for a number that is none. */
HOTSET_API hotset_code hotset_is_end_of_text(hotset_engine* engine, hotset_token token, int32_t* is_end, hotset_error* error);

typedef struct hotset_message {
  const char* role; /* "system", "user", "assistant" */
  const char* content;
} hotset_message;

/* The messages through the model's own template, up to where the assistant's answer begins: tokenise it with HOTSET_PARSE_SPECIAL. */
HOTSET_API hotset_code hotset_apply_chat_template(hotset_engine* engine, const hotset_message* messages, size_t count, char* buffer,
                                                  size_t capacity, size_t* length, hotset_error* error);

/* The same for all that the template knows, as JSON: `messages` is an array of objects ("role", "content", "tool_calls"...), `tools` an array of
 * those that the model may call, `variables` an object of what the template asks for besides ("enable_thinking": false, or
 * "add_generation_prompt": false); NULL: none. */
HOTSET_API hotset_code hotset_apply_chat_template_json(hotset_engine* engine, const char* messages, const char* tools, const char* variables,
                                                       char* buffer, size_t capacity, size_t* length, hotset_error* error);

/* --- session: a timeline of tokens --------------------------------------------------------------------------------------------------- */

typedef struct hotset_session hotset_session;

typedef struct hotset_session_params {
  size_t size;
  const hotset_options* options; /* those of the sampler, others are passed over; NULL: the engine's. Copied. */
} hotset_session_params;
#define HOTSET_SESSION_PARAMS_INIT {sizeof(hotset_session_params), 0}

/* A session with an empty context; `params` may be NULL. Error: HOTSET_OVER_BUDGET, the VRAM budget has no room for another context. */
HOTSET_API hotset_code hotset_session_open(hotset_engine* engine, const hotset_session_params* params, hotset_session** session,
                                           hotset_error* error);
/* A call under way in another thread is asked to end, and memory is given back when it has. From callbacks too. */
HOTSET_API hotset_code hotset_session_close(hotset_session* session);

/* Appends tokens: several as a prompt, one as a decode step; none changes nothing. After an error the timeline is as before, and the call may be
 * repeated; the logits are gone until one succeeds. Errors: HOTSET_INVALID_ARGUMENT, what is no token or has no room in the context;
 * HOTSET_CANCELLED, hotset_session_stop. */
HOTSET_API hotset_code hotset_session_feed(hotset_session* session, const hotset_token* tokens, size_t count, hotset_error* error);
/* The same, and hands over the logits of every position in order: float [count], valid during the call of the function. For scoring texts. */
typedef void (*hotset_position_function)(void* user, uint32_t position, const float* logits, size_t count);
HOTSET_API hotset_code hotset_session_feed_each(hotset_session* session, const hotset_token* tokens, size_t count,
                                                hotset_position_function function, void* user, hotset_error* error);
/* The logits after the last token: float [vocab], valid until the next call with this session that is not marked "from callbacks". Error:
 * HOTSET_INVALID_ARGUMENT, nothing was fed since the session was opened or rewound. */
HOTSET_API hotset_code hotset_session_logits(hotset_session* session, const float** logits, size_t* count, hotset_error* error);
/* Picks the next token from them as the options of the sampler say; feeds nothing. Errors: as hotset_session_logits; HOTSET_INVALID_ARGUMENT,
 * the logits function left no token. */
HOTSET_API hotset_code hotset_session_sample(hotset_session* session, hotset_token* token, hotset_error* error);

/* Sees and changes a copy of the logits before each pick: bias, or -INFINITY for what a grammar does not allow. */
typedef void (*hotset_logits_function)(void* user, float* logits, size_t count);
/* NULL ends it. */
HOTSET_API hotset_code hotset_session_set_logits_function(hotset_session* session, hotset_logits_function function, void* user,
                                                          hotset_error* error);

/* Whole UTF-8 characters, `bytes` of them without a zero behind. 0 ends the generation. */
typedef int32_t (*hotset_text_function)(void* user, const char* text, size_t bytes);

typedef int32_t hotset_stop_reason;
enum {
  HOTSET_STOP_LENGTH = 0,       /* max_tokens */
  HOTSET_STOP_END_OF_TEXT = 1,  /* the model ended it; the token that says so is not on the timeline */
  HOTSET_STOP_CONTEXT_FULL = 2,
  HOTSET_STOP_REQUESTED = 3     /* the callback, or hotset_session_stop */
};

typedef struct hotset_generate_params {
  size_t size;
  const hotset_token* prompt; /* fed first; NULL with 0: goes on from where the timeline is */
  size_t prompt_count;
  uint32_t max_tokens;        /* 0: until the context is full */
  hotset_text_function text;
  void* text_user;
} hotset_generate_params;
#define HOTSET_GENERATE_PARAMS_INIT {sizeof(hotset_generate_params), 0, 0, 0, 0, 0}

/* Feeds the prompt, then picks and feeds tokens. What was generated stays on the timeline, to the last token: another call without a prompt
 * goes on as if there had been no end. Only where the context has no room the last token is handed over and not fed. `reason` may be NULL. */
HOTSET_API hotset_code hotset_session_generate(hotset_session* session, const hotset_generate_params* params, hotset_stop_reason* reason,
                                               hotset_error* error);

/* Drops all tokens from `position` on, and the logits with them: feed the next ones, or what was fed last again. 0 begins anew. Error:
 * HOTSET_INVALID_ARGUMENT, beyond the end. */
HOTSET_API hotset_code hotset_session_rewind(hotset_session* session, uint32_t position, hotset_error* error);
HOTSET_API hotset_code hotset_session_position(hotset_session* session, uint32_t* position, hotset_error* error);

/* Makes the call under way end soon: with HOTSET_CANCELLED, and hotset_session_generate well, with HOTSET_STOP_REQUESTED. Without one it does
 * nothing. From any thread and from callbacks; not from signal handlers, which may wake a thread that calls it. */
HOTSET_API hotset_code hotset_session_stop(hotset_session* session);

/* --- state: a timeline that outlives its session ------------------------------------------------------------------------------------------ */

/* The tokens of the timeline, to `tokens` [capacity] and *count. HOTSET_TOO_SMALL writes *count and no token. */
HOTSET_API hotset_code hotset_session_tokens(hotset_session* session, hotset_token* tokens, size_t capacity, size_t* count, hotset_error* error);

/* Another session that goes on from here by itself: with a copy of the context, the sampler and the last logits; without its functions
 * and the trace. Of the caller, who closes it. Error: HOTSET_OVER_BUDGET, as hotset_session_open. */
HOTSET_API hotset_code hotset_session_fork(hotset_session* session, hotset_session** fork, hotset_error* error);

/* A state is what the model keeps of the tokens so far, the tokens, the last logits, and the sampler with its options. A session that
 * loads it goes on as this one would have: bit for bit with the same options on the same device, within rounding on another. It has about
 * the size of the context that is in use. It is bound to the model and to the option "kv-type".
 *
 * To a file, which is there whole or not at all: it is written beside `path` under a name of its own, so what was at `path` stays until then,
 * and after an error. Of several sessions or programs that save to one path, the last stands. Errors: HOTSET_IO, no room, no right to
 * write, or `path` is no regular file; HOTSET_NOT_FOUND, no such folder. */
HOTSET_API hotset_code hotset_session_save(hotset_session* session, const char* path, hotset_error* error);
/* In place of this session's timeline and sampler. Errors: HOTSET_CORRUPT, damaged, cut off, or no state; HOTSET_INVALID_ARGUMENT, of another
 * model or KV type, or longer than the context here; HOTSET_UNSUPPORTED, of a newer version. With these the session is as before; when the
 * disk or the device fails midway it is empty. */
HOTSET_API hotset_code hotset_session_load(hotset_session* session, const char* path, hotset_error* error);
/* The same with a buffer of the caller's: to `buffer` [capacity] bytes and *size (may be NULL). HOTSET_TOO_SMALL writes *size: call with
 * capacity 0 to ask. */
HOTSET_API hotset_code hotset_session_save_bytes(hotset_session* session, void* buffer, size_t capacity, size_t* size, hotset_error* error);
HOTSET_API hotset_code hotset_session_load_bytes(hotset_session* session, const void* buffer, size_t size, hotset_error* error);
/* Other options of the sampler from here on, in place of those that it was opened or loaded with; options of the engine are passed over, and a
 * NULL `options` changes nothing. What the repeat penalty looks back on stays. */
HOTSET_API hotset_code hotset_session_set_sampler(hotset_session* session, const hotset_options* options, hotset_error* error);

/* --- insight: what the model makes of tokens, and which experts ------------------------------------------------------------------------- */

/* The numbers of an embedding. */
HOTSET_API hotset_code hotset_engine_embedding_size(hotset_engine* engine, size_t* count, hotset_error* error);

typedef int32_t hotset_pooling;
enum {
  HOTSET_POOL_LAST = 0, /* of the last token, which has seen all others */
  HOTSET_POOL_MEAN = 1  /* the mean over `tokens` */
};
/* Appends tokens as hotset_session_feed does, logits and all, and writes the model's last hidden state, normed, as the output matrix reads it:
 * float [hotset_engine_embedding_size] to `values` [capacity]. It is not scaled to length 1. For a text by itself: rewind to 0 first. */
HOTSET_API hotset_code hotset_session_embed(hotset_session* session, const hotset_token* tokens, size_t count, hotset_pooling pooling,
                                            float* values, size_t capacity, hotset_error* error);

/* Is told which experts each token that is fed by itself chose, layer by layer: experts [count], the best first, and whether each was in VRAM
 * when it was asked for (on the CPU: in RAM). `layer` counts those with experts. Valid during the call, which is within that of the
 * feeding function. NULL ends it. */
typedef void (*hotset_routing_function)(void* user, uint32_t position, uint32_t layer, const uint16_t* experts, const uint8_t* in_vram,
                                        size_t count);
HOTSET_API hotset_code hotset_session_set_routing_function(hotset_session* session, hotset_routing_function function, void* user,
                                                           hotset_error* error);

/* Writes which experts have been worth most so far: an engine with the option "hot-set" of that path begins with them. Any thread. Error:
 * HOTSET_INVALID_ARGUMENT, nothing was generated yet. */
HOTSET_API hotset_code hotset_engine_save_hot_set(hotset_engine* engine, const char* path, hotset_error* error);

/* --- figures --------------------------------------------------------------------------------------------------------------------------- */

typedef struct hotset_stats {
  size_t size;
  uint64_t prompt_tokens;
  uint64_t prompt_ns;
  uint64_t decode_tokens;
  uint64_t decode_ns;
  uint64_t decode_lookups;      /* (token, layer, expert) of decoded tokens */
  uint64_t decode_hits;         /* of these, in VRAM */
  uint64_t stall_ns;            /* time in which tokens waited for experts */
  uint64_t host_to_device_bytes;
  uint64_t disk_to_host_bytes;
  uint64_t vram_used_bytes;     /* of the engine, as the next four; on the CPU: RAM in its place, without the experts */
  uint64_t vram_peak_bytes;
  uint64_t vram_budget_bytes;
  uint64_t ram_used_bytes;      /* by experts */
  uint64_t cache_bytes;
  double estimated_token_ns;    /* what is expected of a decode token here; 0: not known */
  uint64_t expert_lookups;      /* as decode_lookups, and of prompts: (chunk, layer, distinct expert) */
  uint64_t expert_hits;
  uint64_t experts_in_place;    /* decode uses that the GPU served out of host memory */
  uint64_t experts_on_cpu;      /* decode uses that the CPU ran beside the GPU */
  uint64_t promotions;          /* experts moved to VRAM in the background */
  uint64_t stops;               /* times a decode token waited for the host */
  uint64_t host_to_device_ns;   /* in which at least one transfer was under way */
  uint64_t disk_to_host_ns;
  uint64_t ram_lookups;         /* experts asked of the RAM where it does not hold all */
  uint64_t ram_hits;
  uint64_t prefetch_reads;      /* experts whose reading from disk began before they were chosen: */
  uint64_t prefetch_useful;     /* in RAM when first chosen, */
  uint64_t prefetch_late;       /* chosen while their read was under way, */
  uint64_t prefetch_wasted;     /* gone without having been chosen */
  uint64_t prefetch_bytes;      /* of all these reads */
  uint64_t submits;             /* to the device's queues */
  uint64_t decode_submits;
  uint64_t trace_lost_tokens;   /* that the trace's disk had no room for */
  uint64_t ram_peak_bytes;      /* of the process */
  uint64_t cache_slots;
  uint64_t load_ns;             /* opening the engine */
  uint64_t logits_hash;         /* of the logits of every position that was read: equal ones mean equal runs */
  int32_t prefetch_active;      /* experts are read ahead; else that was found not to pay, or nothing is on disk */
  char limiting_link[28];       /* what estimated_token_ns says takes most of the token */
} hotset_stats;
#define HOTSET_STATS_INIT \
  {sizeof(hotset_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, {0}}

/* Figures so far. From callbacks too. */
HOTSET_API hotset_code hotset_session_get_stats(hotset_session* session, hotset_stats* stats, hotset_error* error);

/* Guesses of a layer's experts before it chose them, by which they are read ahead. */
typedef struct hotset_guesses {
  uint64_t guessed;
  uint64_t right;
  uint64_t chosen; /* by layers that had a guess */
} hotset_guesses;

/* One for each layer with experts, to `layers` [capacity] and *count; none where nothing is read ahead. HOTSET_TOO_SMALL writes *count. */
HOTSET_API hotset_code hotset_session_get_guesses(hotset_session* session, hotset_guesses* layers, size_t capacity, size_t* count,
                                                  hotset_error* error);

/* What happened in some decoded tokens. */
typedef struct hotset_stretch {
  uint64_t tokens;
  uint64_t ns;
  uint64_t lookups; /* of experts, */
  uint64_t hits;    /* found in VRAM */
  uint64_t host_to_device_bytes;
  uint64_t disk_to_host_bytes;
} hotset_stretch;

typedef struct hotset_history {
  size_t size;
  uint32_t layers;                 /* with experts */
  uint32_t experts;                /* a layer */
  uint32_t experts_used;           /* a token and layer */
  const uint32_t* uses;            /* by decoded tokens: [layers][experts] */
  const hotset_stretch* stretches; /* of equally many tokens each, but for the last; at most 256 */
  size_t stretch_count;
} hotset_history;
#define HOTSET_HISTORY_INIT {sizeof(hotset_history), 0, 0, 0, 0, 0, 0}

/* Which experts the decoded tokens used, and how hits and links went over time. Valid until the next call with this session. */
HOTSET_API hotset_code hotset_session_get_history(hotset_session* session, hotset_history* history, hotset_error* error);
/* What goes where and why; several lines. */
HOTSET_API hotset_code hotset_session_explain(hotset_session* session, char* buffer, size_t capacity, size_t* length, hotset_error* error);
/* Writes which experts each token from here on chooses (text, MOETRACE 1), in place of an earlier trace; NULL ends it, and so does closing. A
 * full disk ends no call: stats.trace_lost_tokens. */
HOTSET_API hotset_code hotset_session_trace(hotset_session* session, const char* path, hotset_error* error);
/* The same, and when each expert crossed which link. */
HOTSET_API hotset_code hotset_session_trace_links(hotset_session* session, const char* path, hotset_error* error);

/* --- output parser: what a model writes, taken apart by the marks of its own template -------------------------------------------------- */

/* Whether hotset_session_generate hands on special tokens as text too, as a parser wants them. At first it does not. */
HOTSET_API hotset_code hotset_session_show_special(hotset_session* session, int32_t shown, hotset_error* error);

typedef struct hotset_parser hotset_parser;

typedef int32_t hotset_part;
enum {
  HOTSET_REASONING = 0, /* what the model thinks before it answers */
  HOTSET_CONTENT = 1,   /* the answer */
  HOTSET_TOOL_CALL = 2  /* a whole one, as JSON: {"id": "...", "name": "...", "arguments": {...}} */
};
/* `bytes` of text, without a zero behind. */
typedef void (*hotset_part_function)(void* user, hotset_part part, const char* text, size_t bytes);

/* `prompt`: what hotset_apply_chat_template gave; its end says whether reasoning has begun. `tools`: those that were offered, as a JSON array;
 * NULL: nothing is taken for a call. The parser is of the caller, who closes it; it may outlive the engine. One thread at a time. */
HOTSET_API hotset_code hotset_parser_open(hotset_engine* engine, const char* prompt, const char* tools, hotset_parser** parser,
                                          hotset_error* error);
HOTSET_API hotset_code hotset_parser_close(hotset_parser* parser);
/* More text, cut anywhere; `function` gets the parts that it completes, none while a mark may have begun. */
HOTSET_API hotset_code hotset_parser_push(hotset_parser* parser, const char* text, size_t text_bytes, hotset_part_function function, void* user,
                                          hotset_error* error);
/* The output has ended: what was held back. Nothing may be pushed afterwards. */
HOTSET_API hotset_code hotset_parser_finish(hotset_parser* parser, hotset_part_function function, void* user, hotset_error* error);

/* --- machine and files: what can be known and prepared without an engine ------------------------------------------------------------ */

/* Reports come as HOTSET_TEXT, lines for people, or as HOTSET_JSON, one document, UTF-8, with sizes in bytes and the unit last in each key;
 * what its keys are is in share/doc/hotset/embedding.md. `write` gets the report in one or more pieces; 0 ends it with HOTSET_CANCELLED. Any
 * thread. */
typedef int32_t hotset_format;
enum { HOTSET_TEXT = 0, HOTSET_JSON = 1 };

/* The Vulkan devices: heaps, budgets, queues, features, and why one cannot be used. Where there is none: no text, or an empty list. */
HOTSET_API hotset_code hotset_report_devices(hotset_format format, hotset_text_function write, void* user, hotset_error* error);

/* What a model file holds and what of it fits where; `model_path` NULL: the model that ships with the library. */
HOTSET_API hotset_code hotset_report_model(const char* model_path, hotset_format format, hotset_text_function write, void* user,
                                           hotset_error* error);

/* A pack: a side file in which each expert is one run of bytes, so that it is read from disk faster (option "pack"). */
typedef struct hotset_pack_params {
  size_t size;
  const char* model_path;
  const char* pack_path;
  int32_t check_only; /* writes nothing: compares every expert of the pack with its checksum */
  hotset_progress_function progress;
  void* progress_user;
} hotset_pack_params;
#define HOTSET_PACK_PARAMS_INIT {sizeof(hotset_pack_params), 0, 0, 0, 0, 0}

typedef struct hotset_pack_report {
  size_t size;
  uint32_t layers;  /* with experts */
  uint32_t experts; /* a layer */
  uint64_t expert_bytes;
  uint64_t file_bytes;
} hotset_pack_report;
#define HOTSET_PACK_REPORT_INIT {sizeof(hotset_pack_report), 0, 0, 0, 0}

/* `report` may be NULL. Errors: what is wrong with either file; no half file is left. */
HOTSET_API hotset_code hotset_pack(const hotset_pack_params* params, hotset_pack_report* report, hotset_error* error);

/* A GGUF out of a checkpoint folder (config.json, tokenizer.json, *.safetensors). One that was stopped goes on where it was. */
typedef struct hotset_convert_params {
  size_t size;
  const char* folder;
  const char* out_path; /* OUT.part and OUT.part.state lie beside it until it is whole */
  const char* type;     /* of the large matrices: hotset_convert_type_at; NULL: what the folder's own weights need */
  uint32_t threads;     /* 0: one for each core */
  hotset_progress_function progress;
  void* progress_user;
} hotset_convert_params;
#define HOTSET_CONVERT_PARAMS_INIT {sizeof(hotset_convert_params), 0, 0, 0, 0, 0, 0}

typedef struct hotset_convert_report {
  size_t size;
  char architecture[64];
  char type[32];
  uint64_t tensors;
  uint64_t ignored_weights; /* that no run needs */
  uint64_t source_bytes;
  uint64_t file_bytes;
  uint64_t resumed_bytes;   /* that an earlier call had written */
} hotset_convert_report;
#define HOTSET_CONVERT_REPORT_INIT {sizeof(hotset_convert_report), {0}, {0}, 0, 0, 0, 0, 0}

/* `report` may be NULL. Errors: what is wrong with the checkpoint, or no room for the file. */
HOTSET_API hotset_code hotset_convert(const hotset_convert_params* params, hotset_convert_report* report, hotset_error* error);
/* "Q4_0"...; NULL from the end on. The text lives as long as the program. */
HOTSET_API const char* hotset_convert_type_at(size_t index);

/* Measures the links of a device, and of the disk that a large file lies on (NULL: none), and writes them to a file for plans and
 * simulations, here or on another machine. `device` as the option of that name; NULL: "auto". About a second. */
HOTSET_API hotset_code hotset_measure_links(const char* device, const char* disk_path, const char* out_path, hotset_error* error);

/* Before any download: does a model fit a machine, what goes where, and how fast will it be. Sizes and rates are text, as options take
 * them: "24G". NULL: the default. */
typedef struct hotset_plan_params {
  size_t size;
  const char* model_path;   /* a file, or else */
  const char* shape;        /* the name of a published model: "qwen3-30b-a3b" */
  const char* quant;        /* of a shape; NULL: the best one is looked for */
  const char* gpu;          /* the name of a card: "RTX 3060 12GB", or (and) */
  const char* links_path;   /* measured rates, in place of the card's expected ones; then `vram` or `gpu` says how much memory there is */
  const char* vram;         /* NULL: 90 % of the card's */
  const char* ram;          /* that experts may take; must be given */
  const char* ram_rate;     /* bytes a second, without links_path */
  const char* disk_rate;    /* "0": no experts on disk */
  const uint32_t* contexts; /* context lengths, in tokens; NULL: three usual ones */
  size_t context_count;
} hotset_plan_params;
#define HOTSET_PLAN_PARAMS_INIT {sizeof(hotset_plan_params), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

HOTSET_API hotset_code hotset_report_plan(const hotset_plan_params* params, hotset_format format, hotset_text_function write, void* user,
                                          hotset_error* error);
/* The shapes, cards and quantisations that plans know by name. */
HOTSET_API hotset_code hotset_report_known(hotset_format format, hotset_text_function write, void* user, hotset_error* error);

/* A routing trace (hotset_session_trace) replayed through expert caches of several policies and sizes: hit rates, expected speed. */
typedef struct hotset_simulate_params {
  size_t size;
  const char* trace_path;
  const char* policies;        /* with commas; "belady" knows the future; NULL: all */
  const char* capacities;      /* shares of all experts that have room, with commas; NULL: "10%,25%,50%,75%" */
  int32_t layer_scope;         /* a fixed part of the room for each layer; else one memory for all, as in a run */
  const uint64_t* warm_tokens; /* at the start, that are not counted; NULL: 64, fewer of short traces */
  const char* links_path;      /* rates of a machine: tokens a second are estimated too. Then also */
  const char* expert_size;     /* of one expert's weights, and */
  const char* dense_size;      /* of weights that every token reads besides; NULL: 0 */
} hotset_simulate_params;
#define HOTSET_SIMULATE_PARAMS_INIT {sizeof(hotset_simulate_params), 0, 0, 0, 0, 0, 0, 0, 0}

HOTSET_API hotset_code hotset_report_simulation(const hotset_simulate_params* params, hotset_format format, hotset_text_function write,
                                                void* user, hotset_error* error);

/* A routing trace, or a run, as a picture: use of experts by layer, hit rate and links over time. */
typedef struct hotset_heatmap_params {
  size_t size;
  const char* trace_path;   /* or the figures of a run, as `hotset run --json` writes them */
  const char* picture_path; /* the PNG to write */
  const char* policy;       /* of the cache that a trace is replayed through; NULL: the default one */
  const char* capacity;     /* its share of all experts; NULL: "25%" */
} hotset_heatmap_params;
#define HOTSET_HEATMAP_PARAMS_INIT {sizeof(hotset_heatmap_params), 0, 0, 0, 0}

/* Draws it, and reports what was drawn. `write` may be NULL. */
HOTSET_API hotset_code hotset_draw_heatmap(const hotset_heatmap_params* params, hotset_format format, hotset_text_function write, void* user,
                                           hotset_error* error);

#ifdef __cplusplus
}
#endif

#endif
