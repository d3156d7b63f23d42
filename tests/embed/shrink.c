/* Gives VRAM back in the middle of a sentence, as an app does when the user opens something else: shrink [MODEL]. The story does not change. */
#include <hotset/hotset.h>
#include <stdio.h>
#include <string.h>

struct story {
  hotset_engine* engine;
  uint64_t small_bytes; /* 0: the budget stays */
  char text[4096];
  size_t bytes, pieces;
};

static int32_t on_text(void* user, const char* text, size_t bytes) {
  struct story* story = user;
  if (story->bytes + bytes < sizeof story->text) {
    memcpy(story->text + story->bytes, text, bytes);
    story->bytes += bytes;
  }
  if (++story->pieces == 10 && story->small_bytes > 0) {
    hotset_error error = HOTSET_ERROR_INIT;
    if (hotset_engine_set_vram(story->engine, story->small_bytes, &error)) fprintf(stderr, "shrink: %s\n", error.message);
  }
  return 1;
}

static hotset_code tell(hotset_session* session, struct story* story, hotset_error* error) {
  static const char start[] = "Once upon a time";
  hotset_token tokens[32];
  hotset_generate_params generate = HOTSET_GENERATE_PARAMS_INIT;
  hotset_code code = hotset_tokenize(story->engine, start, strlen(start), HOTSET_ADD_SPECIAL, tokens, 32, &generate.prompt_count, error);
  if (code) return code;
  generate.prompt = tokens;
  generate.max_tokens = 60;
  generate.text = on_text;
  generate.text_user = story;
  code = hotset_session_rewind(session, 0, error);
  return code ? code : hotset_session_generate(session, &generate, NULL, error);
}

static uint64_t used_bytes(hotset_session* session) {
  hotset_stats stats = HOTSET_STATS_INIT;
  return hotset_session_get_stats(session, &stats, NULL) == HOTSET_OK ? stats.vram_used_bytes : 0;
}

int main(int argc, char** argv) {
  static struct story whole, shrunk;
  hotset_error error = HOTSET_ERROR_INIT;
  hotset_engine_params params = HOTSET_ENGINE_PARAMS_INIT;
  hotset_options* options = hotset_options_create();
  hotset_session* session = NULL;
  uint64_t before = 0;
  int ok = 0;
  params.model_path = argc > 1 ? argv[1] : NULL;
  params.options = options;
  /* The GPU's kernels alone, so that the same words come whatever is in VRAM. */
  ok = hotset_options_set(options, "device", "vulkan", &error) == HOTSET_OK && hotset_options_set(options, "miss", "gpu", &error) == HOTSET_OK &&
       hotset_options_set(options, "temp", "0", &error) == HOTSET_OK && hotset_options_set(options, "ctx", "256", &error) == HOTSET_OK &&
       hotset_engine_open(&params, &whole.engine, &error) == HOTSET_OK && hotset_session_open(whole.engine, NULL, &session, &error) == HOTSET_OK &&
       tell(session, &whole, &error) == HOTSET_OK;
  if (ok) {
    before = used_bytes(session);
    shrunk.engine = whole.engine;
    shrunk.small_bytes = before - before / 4;
    ok = tell(session, &shrunk, &error) == HOTSET_OK;
  }
  if (!ok) {
    fprintf(stderr, "shrink: %s\n", error.message);
    return 1;
  }
  printf("%.*s\n", (int)shrunk.bytes, shrunk.text);
  printf("VRAM: %.1f MiB, then %.1f MiB\n", (double)before / 1048576, (double)used_bytes(session) / 1048576);
  ok = whole.bytes == shrunk.bytes && memcmp(whole.text, shrunk.text, whole.bytes) == 0 && used_bytes(session) < before;
  printf("%s\n", ok ? "the story is the same" : "the story CHANGED, or no memory came back");
  hotset_engine_close(whole.engine);
  hotset_options_destroy(options);
  return ok ? 0 : 1;
}
