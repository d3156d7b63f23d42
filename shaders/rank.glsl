// Unsigned numbers in the order of the floats: the sign decides which half, and negative ones run backwards. NaN ranks below all.
uint rank_of(float score) {
  const uint bits = floatBitsToUint(score);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0;
  if ((bits & 0x7fffffffu) == 0) return 0x80000000u;
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}
