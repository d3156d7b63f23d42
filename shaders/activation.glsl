// The activations of feed-forward networks; numbers and definitions as Activation and Glu in runtime/compute/ops.h, the C++ twin
// is runtime/compute/cpu/activation_function.h. `f` is a specialisation constant, so one branch is left. Needs shaders/params.h.

const uint kNone = 0;
const uint kSilu = 1;
const uint kGelu = 2;
const uint kGeluErf = 3;
const uint kRelu = 4;
const uint kReluSquared = 5;
const uint kSigmoid = 6;
const uint kSoftplus = 7;
const uint kTanh = 8;
const uint kExp = 9;
const uint kSitu = 10;

// tanh by exp of what is negative: a driver's own may overflow to NaN.
float tanh_of(float x) {
  const float e = exp(-2 * abs(x));
  const float magnitude = (1 - e) / (1 + e);
  // Below 1/16 that cancels; the series' next term is below 2^-27 there.
  const float square = x * x;
  return abs(x) < 0.0625 ? x * (1 - square * (1.0 / 3 - square * (2.0 / 15 - square * (17.0 / 315)))) : x < 0 ? -magnitude : magnitude;
}

// log(1 + u) for 0 <= u <= 1, exact to a few units in the last place where u is small: 2 atanh(u / (2 + u)).
float log_one_plus(float u) {
  const float s = u / (2 + u), q = s * s;
  return 2 * s * (1 + q * (1.0 / 3 + q * (1.0 / 5 + q * (1.0 / 7 + q * (1.0 / 9 + q * (1.0 / 11 + q * (1.0 / 13 + q / 15)))))));
}

float softplus(float x) { return x > 20 ? x : max(x, 0.0) + log_one_plus(exp(-abs(x))); }

// erfc(z) for z >= 0: exp(-z^2) t P(t), t = 1 / (1 + z / 2). P interpolates at the Chebyshev nodes of 0.2 <= t <= 1, to 5e-8.
float erfc_of(float z) {
  const float t = 1 / (1 + 0.5 * z);
  float p = -0.057541826;
  p = fma(p, t, 0.27725249);
  p = fma(p, t, -0.47229350);
  p = fma(p, t, 0.26128228);
  p = fma(p, t, -0.015220270);
  p = fma(p, t, 0.19790970);
  p = fma(p, t, 0.24430544);
  p = fma(p, t, 0.28220968);
  p = fma(p, t, 0.28209598);
  return exp(-z * z) * t * p;
}

float gelu_erf(float x) {
  const float below = 0.5 * x * erfc_of(abs(x) * 0.70710678);
  return x < 0 ? below : x - below;
}

float activate(const uint f, float alpha, float x) {
  switch (f) {
    case kSilu: return x / (1 + exp(-alpha * x));
    case kGelu: return x / (1 + exp(-1.5957691 * (x + 0.044715 * x * x * x)));  // (1 + tanh(y)) / 2 = sigmoid(2 y)
    case kGeluErf: return gelu_erf(x);
    case kRelu: return max(x, 0.0);
    case kReluSquared: return max(x, 0.0) * max(x, 0.0);
    case kSigmoid: return 1 / (1 + exp(-alpha * x));
    case kSoftplus: return softplus(x);
    case kTanh: return tanh_of(alpha * x);
    case kExp: return exp(alpha * x);
    case kSitu: return tanh_of(alpha * x) / (alpha * (1 + exp(-x)));
  }
  return x;
}

// What up contributes: clamped, with kSitu limited by tanh.
float up_factor(const uint f, GluNumbers by, float up) {
  return (f == kSitu ? by.up_high * tanh_of(up / by.up_high) : clamp(up, by.up_low, by.up_high)) + by.up_offset;
}

// f(clamp(gate)) * (clamp(up) + up_offset)
float glu(const uint f, GluNumbers by, float gate, float up) {
  return activate(f, by.alpha, clamp(gate, by.gate_low, by.gate_high)) * up_factor(f, by, up);
}
