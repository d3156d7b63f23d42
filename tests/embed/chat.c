/* A conversation in the terminal: chat [MODEL]. Each line that is typed goes to the model with all that was said; its answer streams out. */
#include <hotset/hotset.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_MESSAGES = 64, MOST_BYTES = 1 << 16, MOST_TOKENS = 1 << 14, MOST_ANSWER = 200 };

/* `user`: the answer so far, char [MOST_BYTES] with a zero at its end. */
static int32_t print(void* user, const char* text, size_t bytes) {
  char* answer = user;
  const size_t length = strlen(answer);
  if (length + bytes >= MOST_BYTES) return 0;
  memcpy(answer + length, text, bytes);
  answer[length + bytes] = '\0';
  return fwrite(text, 1, bytes, stdout) == bytes && fflush(stdout) == 0;
}

static char* copy(const char* text) {
  char* made = malloc(strlen(text) + 1);
  if (!made) exit(1);
  return strcpy(made, text);
}

static int failed(const hotset_error* error) {
  fprintf(stderr, "chat: %s\n", error->message);
  return 1;
}

int main(int argc, char** argv) {
  static char line[4096], prompt[MOST_BYTES], answer[MOST_BYTES];
  static hotset_token tokens[MOST_TOKENS];
  static hotset_message messages[MOST_MESSAGES];
  size_t said = 0, length = 0;
  hotset_engine* engine = NULL;
  hotset_session* session = NULL;
  hotset_error error = HOTSET_ERROR_INIT;
  hotset_engine_params params = HOTSET_ENGINE_PARAMS_INIT;
  hotset_generate_params generate = HOTSET_GENERATE_PARAMS_INIT;
  params.model_path = argc > 1 ? argv[1] : NULL;
  generate.prompt = tokens;
  generate.max_tokens = MOST_ANSWER;
  generate.text = print;
  generate.text_user = answer;
  if (hotset_engine_open(&params, &engine, &error) || hotset_session_open(engine, NULL, &session, &error)) return failed(&error);
  while (said + 2 <= MOST_MESSAGES && printf("> ") && fflush(stdout) == 0 && fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = answer[0] = '\0';
    messages[said++] = (hotset_message){"user", copy(line)};
    if (hotset_apply_chat_template(engine, messages, said, prompt, sizeof prompt, &length, &error) ||
        hotset_tokenize(engine, prompt, length, HOTSET_ADD_SPECIAL | HOTSET_PARSE_SPECIAL, tokens, MOST_TOKENS, &generate.prompt_count, &error) ||
        hotset_session_rewind(session, 0, &error) || hotset_session_generate(session, &generate, NULL, &error)) return failed(&error);
    messages[said++] = (hotset_message){"assistant", copy(answer)};
    printf("\n");
  }
  printf("\n");
  while (said > 0) free((void*)(uintptr_t)messages[--said].content);
  return hotset_engine_close(engine) == HOTSET_OK ? 0 : 1;
}
