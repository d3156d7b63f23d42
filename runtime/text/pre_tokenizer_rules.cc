#include "runtime/text/pre_tokenizer_rules.h"

namespace hotset {

namespace {

// Unicode's White_Space property. PCRE2's own \s also takes U+180E, which the tokenizers' regex engines do not.
#define WS R"(\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})"
#define SPACE "[" WS "]"
#define NOT_SPACE "[^" WS "]"

// Tails that most patterns share: white space that a following word leaves its last blank, and lines' ends.
#define SPACES SPACE "+(?!" NOT_SPACE ")|" SPACE "+"
#define LINES SPACE R"(*[\r\n]+|)"
#define PUNCTUATION R"( ?[^\p{L}\p{N})" WS "]+"
#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define LETTERS R"([^\r\n\p{L}\p{N}]?\p{L}+|)"

// Capitals, then small letters, as o200k splits camelCase.
#define UPPER R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])"
#define LOWER R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])"
#define CASED(tail) R"([^\r\n\p{L}\p{N}]?)" UPPER "*" LOWER "+" tail R"(|[^\r\n\p{L}\p{N}]?)" UPPER "+" LOWER "*" tail "|"

#define GPT2 R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+|)" PUNCTUATION "|" SPACES
#define QWEN2(digits) CONTRACTIONS "|" LETTERS digits "|" PUNCTUATION R"([\r\n]*|)" LINES SPACES
#define O200K CASED(CONTRACTIONS "?") R"(\p{N}{1,3}|)" PUNCTUATION R"([\r\n/]*|)" LINES SPACES
#define ASCII_WORDS R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|)"
#define HAN_KANA R"([\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)"
#define DEEPSEEK_HAN R"([\x{4E00}-\x{9FA5}\x{0800}-\x{4E00}\x{AC00}-\x{D7FF}]+)"
// o200k's letters without Han. What need not be given back is possessive: groups that repeat cost the matcher memory.
#define NO_HAN(cased) "(?:[" cased R"(]++|(?!\p{Han})[\p{Lm}\p{Lo}\p{M}]))"
#define NO_HAN_UPPER NO_HAN(R"(\p{Lu}\p{Lt})")
#define NO_HAN_LOWER NO_HAN(R"(\p{Ll})")
#define NO_SENTENCE_MARKS R"( ?[^()" WS R"(|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{0964}\x{06D4}\x{060C}]+)"

constexpr SplitStep kGpt2[] = {{GPT2}};
constexpr SplitStep kQwen2[] = {{QWEN2(R"(\p{N})")}};
constexpr SplitStep kLlama3[] = {{QWEN2(R"(\p{N}{1,3})")}};
constexpr SplitStep kDefault[] = {{R"([\p{P}$+<=>^~|]+)"}, {GPT2}, {R"(\p{N}+)"}, {"[0-9][0-9][0-9]"}};
constexpr SplitStep kFalcon[] = {{R"([\p{P}$+<=>^~|`]+)"}, {GPT2}, {"[0-9][0-9][0-9]"}};
constexpr SplitStep kStarcoder[] = {{R"(\p{N})"}, {GPT2}};
constexpr SplitStep kO200k[] = {{O200K}};
constexpr SplitStep kTekken[] = {{CASED("") R"(\p{N}|)" PUNCTUATION R"([\r\n/]*|)" LINES SPACES}};
constexpr SplitStep kQwen35[] = {
    {CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\p{L}\p{M}\p{N})" WS R"(]+[\r\n]*|)" LINES SPACES}};
constexpr SplitStep kDeepseekLlm[] = {
    {R"([\r\n])"},
    {SPACE
     R"(?[A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293}\x{295}-\x{2AF}\x{370}-\x{373})"
     R"(\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481})"
     R"(\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF})"
     R"(\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45})"
     R"(\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE})"
     R"(\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4})"
     R"(\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D})"
     R"(\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4})"
     R"(\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787}\x{A78B}-\x{A78E})"
     R"(\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F})"
     R"(\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}]+)"},
    {SPACE R"(?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+)"},
    {"(?<!" SPACE ")" SPACE R"(++\z)"},
    {DEEPSEEK_HAN},
    {R"(\p{N}+)"},
};
constexpr SplitStep kDeepseekCoder[] = {
    {R"([\r\n])"}, {SPACE R"(?\p{L}+)"}, {SPACE R"(?\p{P}+)"}, {DEEPSEEK_HAN}, {R"(\p{N})"}};
constexpr SplitStep kDeepseek3[] = {
    {R"(\p{N}{1,3})"}, {HAN_KANA}, {ASCII_WORDS R"( ?[\p{P}\p{S}]+[\r\n]*|)" LINES SPACES}};
constexpr SplitStep kSpark[] = {
    {R"(\p{N}{1,3})"}, {HAN_KANA}, {ASCII_WORDS R"( ?[\p{P}\p{S}]+|[\r\n]|)" SPACES}, {R"(\p{N})"}};
constexpr SplitStep kYoutu[] = {
    {R"([\x{AC00}-\x{D7A3}\x{3131}-\x{318E}]+|)"
     R"([\x{FF01}\x{2026}\x{201C}\x{201D}\x{2018}\x{2019}\x{2014}\x{FF1A}\x{FF1B})"
     R"(\x{FF0C}\x{3001}-\x{303F}\x{FE30}-\x{FE4F}]+|[\x{3105}-\x{312F}]+|)" HAN_KANA},
    {CASED(CONTRACTIONS "?") R"(\p{N}|)" PUNCTUATION R"([\r\n/]*|)" LINES SPACES},
};
constexpr SplitStep kPoro[] = {{NO_SENTENCE_MARKS}};
constexpr SplitStep kViking[] = {{NO_SENTENCE_MARKS}, {R"(\p{N})"}};
constexpr SplitStep kChameleon[] = {
    {"<sentinel:[0-9]+>"}, {"IMGIMG[A-I]{1,4}Z"}, {R"([\t\n]|    |  )"}, {R"(\p{N})"}, {R"([\p{P}!-/:-@\[-`{-~])"}, {GPT2}};
constexpr SplitStep kTinyAya[] = {{R"((?<!\d)\d++\b)", true}, {O200K}};
constexpr SplitStep kKimi[] = {
    {R"(\p{Han}+|[^\r\n\p{L}\p{N}]?)" NO_HAN_UPPER "*" NO_HAN_LOWER "++" CONTRACTIONS R"(?|[^\r\n\p{L}\p{N}]?)"
     NO_HAN_UPPER "++" NO_HAN_LOWER "*+" CONTRACTIONS R"(?|\p{N}{1,3}|)" PUNCTUATION R"([\r\n]*|)" LINES SPACES}};
constexpr SplitStep kSuperbpe[] = {{R"(\p{N}+)"}, {R"(\d+)", true}};
constexpr SplitStep kBailing[] = {{R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\p{L}\p{N})" WS
                                   R"(]++[\r\n]*|)" SPACE R"(*[\r\n]|)" SPACES}};
constexpr SplitStep kSeedCoder[] = {
    {CONTRACTIONS "|" LETTERS R"(\p{N}| ?[^\r\n\p{L}\p{N})" WS "]+|" LINES SPACES}};
constexpr SplitStep kUfakzeka[] = {{LETTERS R"(\p{N}|)" PUNCTUATION R"([\r\n]*|)" LINES SPACES}};
constexpr SplitStep kAfmoe[] = {
    {R"(\p{N}+)", true},
    {R"([\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{F900}-\x{FAFF}\x{3040}-\x{309F}\x{30A0}-\x{30FF}\x{FF65}-\x{FF9F}\x{2F00}-\x{2FDF})"
     R"(\x{0E00}-\x{0E7F}\x{0E80}-\x{0EFF}\x{1780}-\x{17FF}\x{1000}-\x{109F}\x{AA60}-\x{AA7F}\x{A9E0}-\x{A9FF}\x{AC00}-\x{D7AF})"
     R"(\x{1100}-\x{11FF}]+)"},
    {ASCII_WORDS R"( ?[\p{P}\p{S}]+[\r\n]*|)" LINES SPACES},
};
constexpr SplitStep kLaguna[] = {{R"([^\n]+|\n+)"}, {QWEN2(R"(\p{N})")}};
constexpr SplitStep kExaoneMoe[] = {{CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?\p{L}\p{M}*+(?: ?\p{L}\p{M}*+)*+|\p{N}|)" PUNCTUATION
                                     R"([\r\n/]?|)" SPACE R"(*[\r\n]|)" SPACES}};
constexpr SplitStep kMinicpm5[] = {{R"(\p{N}{1,3})"}, {QWEN2(R"(\p{N}+)")}};
// Blanks before a line's end are looked for within a bound, because these pieces of blanks are short: each would look again.
constexpr SplitStep kJais2[] = {
    {CONTRACTIONS "|" LETTERS R"(\p{N}{1,3}|)" PUNCTUATION R"([\r\n]*|)" SPACE R"({0,2048}[\r\n]+|)"
     SPACE "{512}(?!" NOT_SPACE ")|" SPACE "{256}(?!" NOT_SPACE ")|" SPACE "{128}(?!" NOT_SPACE ")|"
     SPACE "{64}(?!" NOT_SPACE ")|" SPACE "{32}(?!" NOT_SPACE ")|" SPACE "{16}(?!" NOT_SPACE ")|"
     SPACE "{8}(?!" NOT_SPACE ")|" SPACE "{4}(?!" NOT_SPACE ")|" SPACE "{1,2}(?!" NOT_SPACE ")|" SPACE}};

constexpr PreTokenizerRule kRules[] = {
    {"", kDefault}, {"default", kDefault},

    {"gpt-2", kGpt2}, {"phi-2", kGpt2}, {"mpt", kGpt2}, {"olmo", kGpt2}, {"jais", kGpt2}, {"trillion", kGpt2},
    {"granite-docling", kGpt2}, {"exaone4", kGpt2}, {"gigachat", kGpt2}, {"a.x-4.0", kGpt2}, {"mellum", kGpt2},
    {"modern-bert", kGpt2}, {"jina-es", kGpt2}, {"jina-de", kGpt2}, {"jina-v2-es", kGpt2}, {"jina-v2-de", kGpt2},

    {"starcoder", kStarcoder}, {"refact", kStarcoder}, {"command-r", kStarcoder}, {"smollm", kStarcoder},
    {"codeshell", kStarcoder}, {"exaone", kStarcoder}, {"minerva-7b", kStarcoder}, {"mellum2", kStarcoder},

    {"qwen2", kQwen2}, {"deepseek-r1-qwen", kQwen2}, {"kormo", kQwen2}, {"f2llmv2", kQwen2}, {"megrez", kQwen2},
    {"stablelm2", kQwen2}, {"hunyuan", kQwen2}, {"solar-open", kQwen2}, {"grok-2", kQwen2}, {"qwen35", kQwen35},

    {"llama-bpe", kLlama3, true, true}, {"llama3", kLlama3, true, true}, {"llama-v3", kLlama3, true, true},
    {"falcon3", kLlama3, true, true}, {"falcon-h1", kLlama3, true, true}, {"pixtral", kLlama3, true, true},
    {"midm-2.0", kLlama3, true, true}, {"lfm2", kLlama3, true, true}, {"jina-v5-nano", kLlama3, true, true},
    {"dbrx", kLlama3}, {"smaug-bpe", kLlama3}, {"glm4", kLlama3}, {"chatglm-bpe", kLlama3},

    {"gpt-4o", kO200k}, {"o200k", kO200k}, {"gpt-oss", kO200k}, {"llama4", kO200k}, {"kanana2", kO200k}, {"talkie", kO200k},
    {"minimax-m2", kO200k}, {"granite-embed-multi-97m", kO200k, true}, {"tiny_aya", kTinyAya}, {"cohere2moe", kTinyAya},
    {"tekken", kTekken, true, true}, {"kimi-k2", kKimi}, {"youtu", kYoutu, true},

    {"deepseek-llm", kDeepseekLlm}, {"deepseek-coder", kDeepseekCoder}, {"deepseek-v3", kDeepseek3},
    {"hunyuan-dense", kDeepseek3}, {"joyai-llm", kDeepseek3}, {"hy_v4", kDeepseek3}, {"spark2_5", kSpark},

    {"falcon", kFalcon}, {"poro-chat", kPoro}, {"bloom", kPoro}, {"gpt3-finnish", kPoro}, {"viking", kViking},
    {"chameleon", kChameleon, false, true}, {"superbpe", kSuperbpe}, {"bailingmoe", kBailing}, {"bailingmoe2", kBailing},
    {"llada-moe", kBailing}, {"seed-coder", kSeedCoder}, {"ufakzeka", kUfakzeka}, {"afmoe", kAfmoe}, {"laguna", kLaguna},
    {"exaone-moe", kExaoneMoe}, {"minicpm5", kMinicpm5, true}, {"jais-2", kJais2},
};

}  // namespace

std::span<const PreTokenizerRule> pre_tokenizer_rules() { return kRules; }

const PreTokenizerRule* find_pre_tokenizer_rule(std::string_view name) {
  for (const PreTokenizerRule& rule : kRules) {
    if (rule.name == name) return &rule;
  }
  return nullptr;
}

}  // namespace hotset
