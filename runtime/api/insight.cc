// The C functions that look into the model: embeddings, routing, the hot set.
#include "runtime/api/calls.h"

using namespace hotset;

static_assert(static_cast<int>(Pooling::kLast) == HOTSET_POOL_LAST && static_cast<int>(Pooling::kMean) == HOTSET_POOL_MEAN);

extern "C" {

hotset_code hotset_engine_embedding_size(hotset_engine* engine, size_t* count, hotset_error* error) {
  return with_engine(engine, error, [&](OpenEngine& open) -> Status {
    if (count == nullptr) return no_argument("count");
    *count = open.engine->embedding_size();
    return ok_status();
  });
}

hotset_code hotset_session_embed(hotset_session* session, const hotset_token* tokens, size_t count, hotset_pooling pooling, float* values, size_t capacity,
                                 hotset_error* error) {
  return with_session(session, error, [&](OpenSession& open) -> Status {
    HOTSET_RETURN_IF_ERROR(check_array(tokens, count, "tokens"));
    if (pooling != HOTSET_POOL_LAST && pooling != HOTSET_POOL_MEAN) return hotset::error(Code::kInvalidArgument, "%d is no way of pooling", pooling);
    const uint32_t size = open.owner->engine->embedding_size();
    if (capacity < size) return hotset::error(kTooSmall, "there is room for %zu numbers, and an embedding has %u", capacity, size);
    if (values == nullptr) return no_argument("values");
    HOTSET_ASSIGN(const std::vector<float> embedding, open.session->embed({tokens, count}, static_cast<Pooling>(pooling)));
    std::copy(embedding.begin(), embedding.end(), values);
    return ok_status();
  });
}

hotset_code hotset_session_set_routing_function(hotset_session* session, hotset_routing_function function, void* user, hotset_error* error) {
  return with_session(session, error, [&](OpenSession& open) {
    RoutingSink sink;
    if (function) {
      sink = [function, user](const LayerRouting& of) {
        function(user, of.position, of.layer, of.experts.data(), of.in_vram.data(), of.experts.size());
      };
    }
    open.session->set_routing_sink(std::move(sink));
    return ok_status();
  });
}

hotset_code hotset_engine_save_hot_set(hotset_engine* engine, const char* path, hotset_error* error) {
  return with_engine(engine, error, [&](OpenEngine& open) { return path ? open.engine->save_hot_set(path) : no_argument("path"); });
}

}  // extern "C"
