// Makes the kernels known to TensorFlow, through its C API, as operations TrmAttend, TrmAddRmsNorm, TrmGate and their gradients.
#include <memory>

#include <tensorflow/c/kernels.h>
#include <tensorflow/c/ops.h>
#include <tensorflow/c/tf_status.h>
#include <tensorflow/c/tf_tensor.h>
#include "kernels.h"

namespace trm {
namespace {

struct DeleteTensor {
  void operator()(TF_Tensor* tensor) const { TF_DeleteTensor(tensor); }
};
using Tensor = std::unique_ptr<TF_Tensor, DeleteTensor>;

/** One call of a kernel: its inputs and outputs, and whether all went well so far. */
class Call {
 public:
  explicit Call(TF_OpKernelContext* context) : context_(context), status_(TF_NewStatus()) {}
  ~Call() {
    if (TF_GetCode(status_) != TF_OK) TF_OpKernelContext_Failure(context_, status_);
    TF_DeleteStatus(status_);
  }

  Tensor input(int index) {
    TF_Tensor* tensor = nullptr;
    TF_GetInput(context_, index, &tensor, status_);
    return Tensor(tensor);
  }

  /** float32[rows, width] */
  Tensor output(int index, int64_t rows, int64_t width) {
    const int64_t shape[] = {rows, width};
    return Tensor(TF_AllocateOutput(context_, index, TF_FLOAT, shape, 2, sizeof(float) * rows * width, status_));
  }

  /** Refuses inputs that a kernel would read past the end of. */
  bool expect(bool fits, const char* message) {
    if (!fits && TF_GetCode(status_) == TF_OK) TF_SetStatus(status_, TF_INVALID_ARGUMENT, message);
    return ok();
  }

  bool ok() const { return TF_GetCode(status_) == TF_OK; }

 private:
  TF_OpKernelContext* context_;
  TF_Status* status_;
};

float* numbers(const Tensor& tensor) { return static_cast<float*>(TF_TensorData(tensor.get())); }
bool isMatrix(const Tensor& tensor) { return tensor && TF_NumDims(tensor.get()) == 2; }
int64_t rowsOf(const Tensor& tensor) { return TF_Dim(tensor.get(), 0); }
int64_t widthOf(const Tensor& tensor) { return TF_Dim(tensor.get(), 1); }
bool sameShape(const Tensor& a, const Tensor& b) {
  return isMatrix(a) && isMatrix(b) && rowsOf(a) == rowsOf(b) && widthOf(a) == widthOf(b);
}

/** Attributes of a kernel, read once. */
struct Attributes {
  AttentionSizes sizes{};
  float eps = 0;
};

int32_t intAttribute(TF_OpKernelConstruction* construction, const char* name, TF_Status* status) {
  int32_t value = 0;
  TF_OpKernelConstruction_GetAttrInt32(construction, name, &value, status);
  return value;
}

template <typename Read>
void* attributes(TF_OpKernelConstruction* construction, Read read) {
  auto* result = new Attributes;
  TF_Status* status = TF_NewStatus();
  read(*result, status);
  if (TF_GetCode(status) != TF_OK) TF_OpKernelConstruction_Failure(construction, status);
  TF_DeleteStatus(status);
  return result;
}

void* attentionAttributes(TF_OpKernelConstruction* construction) {
  return attributes(construction, [&](Attributes& result, TF_Status* status) {
    result.sizes.batch = intAttribute(construction, "batch", status);
    result.sizes.positions = intAttribute(construction, "positions", status);
    result.sizes.heads = intAttribute(construction, "heads", status);
    result.sizes.size = intAttribute(construction, "head_size", status);
  });
}

void* normAttributes(TF_OpKernelConstruction* construction) {
  return attributes(construction, [&](Attributes& result, TF_Status* status) {
    TF_OpKernelConstruction_GetAttrFloat(construction, "eps", &result.eps, status);
  });
}

void deleteAttributes(void* kernel) { delete static_cast<Attributes*>(kernel); }

bool fitsAttention(const AttentionSizes& s, const Tensor& qkv, const Tensor& cos, const Tensor& sin) {
  return isMatrix(qkv) && rowsOf(qkv) == 1L * s.batch * s.positions && widthOf(qkv) == 3L * s.heads * s.size && sameShape(cos, sin) &&
         rowsOf(cos) == s.positions && widthOf(cos) == s.size && s.size % 2 == 0;
}

void attend(void* kernel, TF_OpKernelContext* context) {
  const AttentionSizes& sizes = static_cast<Attributes*>(kernel)->sizes;
  Call call(context);
  const Tensor qkv = call.input(0), cos = call.input(1), sin = call.input(2);
  if (!call.expect(call.ok() && fitsAttention(sizes, qkv, cos, sin), "TrmAttend: shapes and sizes disagree")) return;
  const Tensor out = call.output(0, rowsOf(qkv), widthOf(qkv) / 3);
  if (call.ok()) kernels()->attend(sizes, numbers(qkv), numbers(cos), numbers(sin), numbers(out));
}

void attendGrad(void* kernel, TF_OpKernelContext* context) {
  const AttentionSizes& sizes = static_cast<Attributes*>(kernel)->sizes;
  Call call(context);
  const Tensor dy = call.input(0), qkv = call.input(1), cos = call.input(2), sin = call.input(3);
  const bool fits = call.ok() && fitsAttention(sizes, qkv, cos, sin) && isMatrix(dy) && rowsOf(dy) == rowsOf(qkv) &&
                    widthOf(dy) * 3 == widthOf(qkv);
  if (!call.expect(fits, "TrmAttendGrad: shapes and sizes disagree")) return;
  const Tensor out = call.output(0, rowsOf(qkv), widthOf(qkv));
  if (call.ok()) kernels()->attendGrad(sizes, numbers(dy), numbers(qkv), numbers(cos), numbers(sin), numbers(out));
}

void addRmsNorm(void* kernel, TF_OpKernelContext* context) {
  Call call(context);
  const Tensor x = call.input(0), y = call.input(1);
  if (!call.expect(call.ok() && sameShape(x, y), "TrmAddRmsNorm: shapes disagree")) return;
  const Tensor normed = call.output(0, rowsOf(x), widthOf(x)), inverse = call.output(1, rowsOf(x), 1);
  if (call.ok())
    kernels()->addRmsNorm(numbers(x), numbers(y), numbers(normed), numbers(inverse), static_cast<int>(rowsOf(x)),
                          static_cast<int>(widthOf(x)), static_cast<Attributes*>(kernel)->eps);
}

void addRmsNormGrad(void*, TF_OpKernelContext* context) {
  Call call(context);
  const Tensor dy = call.input(0), normed = call.input(1), inverse = call.input(2);
  const bool fits = call.ok() && sameShape(dy, normed) && isMatrix(inverse) && rowsOf(inverse) == rowsOf(dy);
  if (!call.expect(fits, "TrmAddRmsNormGrad: shapes disagree")) return;
  const Tensor dx = call.output(0, rowsOf(dy), widthOf(dy));
  if (call.ok())
    kernels()->addRmsNormGrad(numbers(dy), numbers(normed), numbers(inverse), numbers(dx), static_cast<int>(rowsOf(dy)),
                              static_cast<int>(widthOf(dy)));
}

void gate(void*, TF_OpKernelContext* context) {
  Call call(context);
  const Tensor x = call.input(0);
  if (!call.expect(call.ok() && isMatrix(x) && widthOf(x) % 2 == 0, "TrmGate: the width is odd")) return;
  const Tensor out = call.output(0, rowsOf(x), widthOf(x) / 2);
  if (call.ok()) kernels()->gate(numbers(x), numbers(out), static_cast<int>(rowsOf(x)), static_cast<int>(widthOf(x) / 2));
}

void gateGrad(void*, TF_OpKernelContext* context) {
  Call call(context);
  const Tensor dy = call.input(0), x = call.input(1);
  const bool fits = call.ok() && isMatrix(x) && isMatrix(dy) && rowsOf(dy) == rowsOf(x) && widthOf(dy) * 2 == widthOf(x);
  if (!call.expect(fits, "TrmGateGrad: shapes disagree")) return;
  const Tensor dx = call.output(0, rowsOf(x), widthOf(x));
  if (call.ok()) kernels()->gateGrad(numbers(dy), numbers(x), numbers(dx), static_cast<int>(rowsOf(x)), static_cast<int>(widthOf(dy)));
}

struct Operation {
  const char* name;
  /** specifications as TensorFlow's REGISTER_OP takes them; null ends the list */
  const char* attributes[5];
  const char* inputs[5];
  const char* output;
  void* (*create)(TF_OpKernelConstruction*);
  void (*compute)(void*, TF_OpKernelContext*);
};

#define ATTENTION_SIZES {"batch: int", "positions: int", "heads: int", "head_size: int"}

const Operation kOperations[] = {
    {"TrmAttend", ATTENTION_SIZES, {"qkv: float", "cos: float", "sin: float"}, "output: float", attentionAttributes, attend},
    {"TrmAttendGrad", ATTENTION_SIZES, {"dy: float", "qkv: float", "cos: float", "sin: float"}, "output: float", attentionAttributes, attendGrad},
    {"TrmAddRmsNorm", {"eps: float", "N: int = 2"}, {"x: float", "y: float"}, "output: N * float", normAttributes, addRmsNorm},
    {"TrmAddRmsNormGrad", {}, {"dy: float", "normed: float", "inverse: float"}, "output: float", nullptr, addRmsNormGrad},
    {"TrmGate", {}, {"x: float"}, "output: float", nullptr, gate},
    {"TrmGateGrad", {}, {"dy: float", "x: float"}, "output: float", nullptr, gateGrad},
};

/** Once per process, when the binding is loaded; left out on a processor that has no kernels. */
[[maybe_unused]] const bool registered = [] {
  if (kernels() == nullptr) return false;
  TF_Status* status = TF_NewStatus();
  for (const Operation& operation : kOperations) {
    TF_OpDefinitionBuilder* definition = TF_NewOpDefinitionBuilder(operation.name);
    for (const char* attribute : operation.attributes)
      if (attribute) TF_OpDefinitionBuilderAddAttr(definition, attribute);
    for (const char* input : operation.inputs)
      if (input) TF_OpDefinitionBuilderAddInput(definition, input);
    TF_OpDefinitionBuilderAddOutput(definition, operation.output);
    TF_OpDefinitionBuilderSetShapeInferenceFunction(definition, &TF_ShapeInferenceContextSetUnknownShape);
    TF_RegisterOpDefinition(definition, status);
    TF_KernelBuilder* kernel = TF_NewKernelBuilder(operation.name, "CPU", operation.create, operation.compute,
                                                   operation.create ? deleteAttributes : nullptr);
    TF_RegisterKernelBuilder(operation.name, kernel, status);
  }
  const bool well = TF_GetCode(status) == TF_OK;
  TF_DeleteStatus(status);
  return well;
}();

}  // namespace

}  // namespace trm
