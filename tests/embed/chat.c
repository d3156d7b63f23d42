/* A conversation in the terminal: chat [MODEL]. Each line that is typed goes to the model with all that was said; its answer streams out. */
#include <hotset/hotset.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_MESSAGES = 64, MOST_BYTES = 1 << 16, MOST_TOKENS = 1 << 14, MOST_ANSWER = 200 };

struct answer {
  char text[MOST_BYTES];
  size_t bytes;
};

static int32_t print(void* user, const char* text, size_t bytes) {
  struct answer* answer = user;
  fwrite(text, 1, bytes, stdout);
  fflush(stdout);
  if (answer->bytes + bytes >= MOST_BYTES) return 0;
  memcpy(answer->text + answer->bytes, text, bytes);
  answer->bytes += bytes;
  return 1;
}

static char* copy(const char* text, size_t bytes) {
  char* made = malloc(bytes + 1);
  if (!made) exit(1);
  memcpy(made, text, bytes);
  made[bytes] = '\0';
  return made;
}

static int failed(const hotset_error* error) {
  fprintf(stderr, "chat: %s\n", error->message);
  return 1;
}

int main(int argc, char** argv) {
  static char line[4096], prompt[MOST_BYTES];
  static hotset_token tokens[MOST_TOKENS];
  static struct answer answer;
  hotset_message messages[MOST_MESSAGES];
  size_t said = 0, count = 0, length = 0;
  hotset_error error = HOTSET_ERROR_INIT;
  hotset_engine* engine = NULL;
  hotset_session* session = NULL;
  hotset_engine_info info = HOTSET_ENGINE_INFO_INIT;
  hotset_engine_params params = HOTSET_ENGINE_PARAMS_INIT;
  params.model_path = argc > 1 ? argv[1] : NULL;
  if (hotset_engine_open(&params, &engine, &error)) return failed(&error);
  if (hotset_engine_get_info(engine, &info, &error) || hotset_session_open(engine, NULL, &session, &error)) return failed(&error);
  while (said + 2 <= MOST_MESSAGES && printf("> ") && fflush(stdout) == 0 && fgets(line, sizeof line, stdin)) {
    hotset_generate_params generate = HOTSET_GENERATE_PARAMS_INIT;
    line[strcspn(line, "\n")] = '\0';
    messages[said].role = "user";
    messages[said++].content = copy(line, strlen(line));
    /* A model without a template goes on with the text. */
    if (!info.has_chat_template) snprintf(prompt, sizeof prompt, "%s", line), length = strlen(prompt);
    else if (hotset_apply_chat_template(engine, messages, said, prompt, sizeof prompt, &length, &error)) return failed(&error);
    if (hotset_tokenize(engine, prompt, length, HOTSET_ADD_SPECIAL | HOTSET_PARSE_SPECIAL, tokens, MOST_TOKENS, &count, &error)) return failed(&error);
    answer.bytes = 0;
    generate.prompt = tokens;
    generate.prompt_count = count;
    generate.max_tokens = MOST_ANSWER;
    generate.text = print;
    generate.text_user = &answer;
    if (hotset_session_rewind(session, 0, &error) || hotset_session_generate(session, &generate, NULL, &error)) return failed(&error);
    messages[said].role = "assistant";
    messages[said++].content = copy(answer.text, answer.bytes);
    printf("\n");
  }
  printf("\n");
  while (said > 0) free((void*)(uintptr_t)messages[--said].content);
  return hotset_engine_close(engine) == HOTSET_OK ? 0 : 1;
}
