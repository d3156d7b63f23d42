// What experts beside plain SwiGLU do around their products; `form` is a specialisation constant of kExpert... bits, 0 for plain
// ones. Needs shaders/blocks.glsl.
#include "shaders/activation.glsl"

float bias_at(const bool there, uint64_t biases, uint row) { return there ? Floats(biases).v[row] : 0.0; }

// The number that multiplies gate x and up x.
float input_weight(const uint form, uint64_t weights, uint index) { return (form & kExpertWeightedInput) != 0 ? Floats(weights).v[index] : 1.0; }

float hidden_of(const uint form, const uint f, GluNumbers by, float weight, float gate, float gate_bias, float up, float up_bias) {
  if (form == 0) return gate / (1.0 + exp(-gate)) * up;
  const float risen = fma(weight, up, up_bias);
  if ((form & kExpertGateless) != 0) return activate(f, by.alpha, risen);
  return glu(f, by, fma(weight, gate, gate_bias), risen);
}
