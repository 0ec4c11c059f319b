// SPDX-License-Identifier: Apache-2.0
//
// Advice to the kernel about memory that JavaScript owns.

#include "meridian.h"

#include <sys/mman.h>
#include <unistd.h>

/** The whole pages inside a byte range; a huge page is taken wherever one fits. Best effort: nothing fails. */
static napi_value advise_huge_pages(napi_env env, napi_callback_info info) {
  napi_value bytes;
  if (!read_arguments(env, info, 1, &bytes)) return NULL;
  void *data = NULL;
  size_t length = 0;
  napi_typedarray_type type;
  if (napi_get_typedarray_info(env, bytes, &type, &length, &data, NULL, NULL) != napi_ok ||
      type != napi_uint8_array) {
    return throw_type(env, "Cannot call the add-on: expected a Uint8Array");
  }
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  uintptr_t start = ((uintptr_t)data + page - 1) & ~(page - 1);
  uintptr_t end = ((uintptr_t)data + length) & ~(page - 1);
  if (end > start) madvise((void *)start, end - start, MADV_HUGEPAGE);
  return NULL;
}

bool define_memory(napi_env env, napi_value exports) {
  return define(env, exports, "adviseHugePages", advise_huge_pages);
}
