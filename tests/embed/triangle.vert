#version 450
// A triangle that turns about the middle of the picture.
layout(push_constant) uniform Push { float angle; };
layout(location = 0) out vec3 color;

void main() {
  float corner = angle + 2.0943951 * gl_VertexIndex;
  gl_Position = vec4(0.9 * sin(corner), 0.9 * cos(corner), 0, 1);
  color = vec3(gl_VertexIndex == 0, gl_VertexIndex == 1, gl_VertexIndex == 2);
}
