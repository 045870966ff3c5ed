"""Say in plain words which error stopped an answer, and in which line of it."""

import linecache
import re
import sysconfig
from pathlib import Path
from traceback import walk_tb

# ------------------------------------------------------------------------------------------- which

MEANINGS = {
    # shapes
    r"The size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\) at non-singleton "
    r"dimension (\d+)": "two tensors do not fit together: on axis {2} one has size {0}, the other "
    "{1}",
    r"The expanded size of the tensor \((\d+)\) must match the existing size \((\d+)\) at "
    r"non-singleton dimension (\d+)": "axis {2} has size {1} and cannot become {0}: only an axis "
    "of size 1 can be expanded",
    r"operands could not be broadcast together with shapes (\(.*?\)) (\(.*?\))": "two arrays do "
    "not fit together: their shapes are {0} and {1}",
    r"mat1 and mat2 shapes cannot be multiplied \((\d+)x(\d+) and (\d+)x(\d+)\)": "there is no "
    "matrix product of ({0}, {1}) and ({2}, {3}), because {1} is not {2} (must one be transposed, "
    "as in x @ W.T?)",
    r"size mismatch, got input \((\d+)\), mat \((\d+)x(\d+)\), vec \((\d+)\)": "there is no "
    "product of a matrix ({1}, {2}) and a vector of {3}, because {2} is not {3} (must the matrix "
    "be transposed, as W.T?)",
    r"inconsistent tensor size, expected tensor \[(\d+)\] and src \[(\d+)\]": "there is no dot "
    "product of {0} numbers and {1}",
    r"Expected size for first two dimensions of batch2 tensor to be: \[(\d+), (\d+)\] but got: "
    r"\[(\d+), (\d+)\]": "two batches of matrices do not fit together: the second must begin with "
    "({0}, {1}), not ({2}, {3})",
    r"subscript (\w) has size (\d+) for operand \d+ which does not broadcast with previously seen "
    r"size (\d+)": "in the einsum, the letter {0} stands for size {1} and for size {2}",
    r"the number of subscripts in the equation \((\d+)\) does not match the number of dimensions "
    r"\((\d+)\)": "in the einsum, a tensor got {0} letters, and the number of its axes is {1}",
    r"The shape of the mask \[(.*?)\] at index \d+ does not match the shape of the indexed tensor "
    r"\[(.*?)\]": "a mask of shape ({0}) cannot choose from a tensor of shape ({1})",
    r"shape mismatch: value tensor of shape \[(.*?)\] cannot be broadcast to indexing result of "
    r"shape \[(.*?)\]": "numbers of shape ({0}) do not fit where you put them, which has shape "
    "({1})",
    r"shape mismatch: indexing tensors could not be broadcast together with shapes (.*)": "the "
    "indices do not fit together: their shapes are {0}",
    r"Index tensor must have the same number of dimensions as": "gather and scatter need an index "
    "with as many axes as the tensor; unsqueeze adds one",
    r"shape '\[(.*?)\]' is invalid for input of size (\d+)": "{1} numbers cannot be arranged in "
    "the shape ({0})",
    r"view size is not compatible": "view cannot rearrange this tensor: use reshape",
    r"stack expects each tensor to be equal size, but got \[(.*?)\] at entry \d+ and "
    r"\[(.*?)\]": "torch.stack needs tensors of one shape, and got ({0}) and ({1})",
    r"Sizes of tensors must match except in dimension (\d+)\. Expected size (\d+) but got size "
    r"(\d+)": "torch.cat needs tensors that differ only on axis {0}; on another axis these have "
    "sizes {1} and {2}",
    r"Tensors must have same number of dimensions: got (\d+) and (\d+)": "torch.cat needs tensors "
    "with equally many axes; these have {0} and {1}",
    r"zero-dimensional tensor \(at position \d+\) cannot be concatenated": "torch.cat cannot join "
    "single numbers: use torch.stack",
    r"expected sequence of length (\d+) at dim \d+ \(got (\d+)\)": "the rows of a list differ in "
    "length: {0} and {1}",
    # one number or several
    r"only one element tensors can be converted|Tensor with \d+ elements cannot be "
    r"converted": "a tensor of several numbers stands where Python needs one, as in float(x), "
    "x.item() or math.log(x); torch has functions for tensors, such as torch.log",
    r"Boolean value of Tensor with more than one value is ambiguous": "a condition (if, and, or, "
    "not) needs one truth value and got a tensor of several; use torch.where, &, | or ~",
    r"only integer tensors of a single element can be converted to an index": "an index or a range "
    "needs one whole number, and got a tensor that is not",
    r"iteration over a 0-d tensor|len\(\) of a 0-d tensor": "a tensor that is a single number has "
    "no length, and cannot be looped over or unpacked",
    r"invalid index of a 0-dim tensor": "a tensor that is a single number cannot be indexed",
    # axes and indices
    r"Dimension out of range \(expected to be in range of \[(-?\d+), (-?\d+)\], but got "
    r"(-?\d+)\)": "there is no axis {2}: the axes of this tensor are {0} to {1}",
    r"Dimension specified as (-?\d+) but tensor has no dimensions": "there is no axis {0}: this "
    "tensor is a single number",
    r"too many indices for tensor of dimension (\d+)": "there are more indices than axes, of "
    "which this tensor has {0}",
    r"index (-?\d+) is out of bounds for (?:dimension|axis) (\d+) with size (\d+)": "there is no "
    "index {0} on axis {1}, whose size is {2}; the first index is 0",
    r"index out of range in self": "an index is larger than the table that it points into",
    r"(\w+)\(\) missing 1 required positional arguments: \"(dims?)\"": "{0} needs to be told the "
    "axis, as in x.{0}(-1)",
    # types
    r"tensors used as indices must be long": "an index must be whole numbers: convert it with "
    ".long()",
    r"only integers, slices .* are valid indices": "an index must be a whole number",
    r"(\w+)\(\): Expected dtype .*int64 for index": "{0} needs whole numbers as its index: convert "
    "it with .long()",
    r"one_hot is only applicable to index tensor": "one_hot needs whole numbers: convert them with "
    ".long()",
    r"mean\(\): could not infer output dtype|std and var only support floating point|"
    r"\"\w+\" not implemented for '(?:Long|Int|Bool)'": "this needs numbers with a fraction, and "
    "got whole ones or truth values: convert them with .double()",
    r"expected m1 and m2 to have the same dtype, but got: (\w+) != (\w+)": "a product of {0} and "
    "{1} numbers: convert one to the type of the other, as with .double()",
    r"expected both vectors to have same dtype, but found (\w+) and (\w+)|expected scalar type "
    r"(\w+) but found (\w+)|tensors must have the same dtype, but got (\w+), (\w+)|source and "
    r"destination dtypes match, got (\w+) for the destination and (\w+)": "the numbers are of two "
    "types, {0} and {1}: convert one to that of the other, as with .double()",
    r"result type (\w+) can't be cast to the desired output type (\w+)": "{0} numbers cannot be "
    "kept in a tensor of {1} ones: convert that first, as with .double()",
    r"expected condition to be a boolean tensor|only supports boolean masks": "a condition or mask "
    "must be truth values, as x > 0 gives or .bool()",
    r"with a bool tensor is not supported|on a bool tensor is not supported": "truth values cannot "
    "be subtracted: use ~ for their opposite, or convert them with .double()",
    r"operator\.invert\) is only implemented on|\"bitwise_\w+\" not implemented for": "~, & and | "
    "need truth values: convert with .bool()",
    r"'(float|int|bool)' object has no attribute '(\w+)'": "a Python {0} has no .{1}: "
    "torch.tensor(x) makes a tensor of it",
    r"^(\w+)\(\): argument '\w+' \(position \d+\) must be Tensor, not (float|int|bool)": "torch."
    "{0} needs a tensor and got a Python {1}: torch.tensor(x) makes one",
    r"expected Tensor as element \d+ in argument \d+, but got (\w+)": "a list of tensors is needed "
    "here, and one of them is a Python {0}: torch.tensor(x) makes a tensor of it",
    r"^(\w+)\(\) received an invalid combination of arguments - got (\(.*?\)), but": "torch.{0} "
    "does not take arguments of these types: {1}",
    # losses and classes
    r"Class values must be smaller than num_classes": "one_hot got a number that is not below "
    "num_classes (is the mask one of the symbols?)",
    r"Class values must be non-negative": "one_hot got a negative number",
    r"Expected target size \[(.*?)\], got \[(.*?)\]": "the classes must be on axis 1 of the logits "
    "of cross_entropy: with these logits the targets would have shape ({0}), and they have ({1})",
    r"Expected input batch_size \((\d+)\) to match target batch_size \((\d+)\)": "cross_entropy "
    "got {0} rows of logits for {1} targets",
    r"Target (-?\d+) is out of bounds": "cross_entropy got the target {0}, for which the logits "
    "have no column (is it the mask?)",
    r"expected target dtype to be Long|0D or 1D target tensor expected": "the targets of "
    "cross_entropy are the numbers of the classes, whole ones, one for each row of logits",
    r"probability tensor contains either|invalid multinomial distribution": "torch.multinomial "
    "needs numbers that are not negative, and not all 0",
    # values
    r"math domain error|expected a (?:positive|nonnegative) input": "a function of math got a "
    "number for which it has no value, as math.log(0); torch.log(0) is -inf, and "
    "torch.special.xlogy takes 0 log 0 as 0",
    r"math range error": "a result is too large for a float",
    # gradients
    r"'NoneType' object has no attribute 'zero_'": "the gradient is None until backward() was "
    "called, and None has no .zero_: write .grad = None instead of .grad.zero_()",
    r"NoneType": "something is None where a tensor or a number is needed: a gradient is None until "
    "backward() was called, and a function without return gives None",
    r"does not require grad and does not have a grad_fn": "there is nothing to differentiate: this "
    "does not depend on a tensor with requires_grad",
    r"a leaf Variable that requires grad is being used in an in-place operation": "an argument "
    "whose gradient is asked for was changed in place: make a new tensor instead",
    r"modified by an inplace operation": "a tensor that the gradient needs was changed in place: "
    "make a new one instead",
    r"Can't call numpy\(\) on Tensor that requires grad": "numpy keeps no gradient: stay in torch",
    # the machine
    r"can't allocate memory|out of memory|Unable to allocate": "it asked for more memory than "
    "there is",
    r"maximum recursion depth exceeded": "a function calls itself without end",
}
"""what the first line of an error says, a pattern -> the same for somebody who learns"""

KINDS = {
    "SystemExit": "it ended the program, by exit, quit or sys.exit: return the result instead",
    "NotImplementedError": "it is not written yet",
    "AssertionError": "an assert in it failed",
    "MemoryError": "it asked for more memory than there is",
}
"""the type of an error that says nothing itself -> what happened"""


def meaning(error: BaseException) -> str:
    """Return what an error says, in plain words if it is a common one."""
    kind, first = type(error).__name__, (str(error).splitlines() or [""])[0].strip()
    for pattern, plain in MEANINGS.items():
        if found := re.search(pattern, first):
            return plain.format(*(g for g in found.groups() if g is not None))
    if kind in KINDS and (not first or kind == "SystemExit"):
        return KINDS[kind]
    return f"{kind}: {first or 'without a reason'}".rstrip(".: ")


# ------------------------------------------------------------------------------------------- where

LIBRARIES = ("stdlib", "platstdlib", "purelib", "platlib")
FOREIGN = (
    "<frozen",
    str(Path(__file__).parents[1]),  # the package
    *(sysconfig.get_path(name) for name in LIBRARIES),
)
"""how the names of files begin that are not the student's"""
UNNAMED = "<lambda>", "<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"


def place(error: BaseException) -> str:
    """Return the line of the student's code in which an error arose, in words; "" if in none."""
    steps = [(frame.f_code, line) for frame, line in walk_tb(error.__traceback__)]
    steps = [(code, line) for code, line in steps if not code.co_filename.startswith(FOREIGN)]
    if not steps:
        return ""
    code, line = steps[-1]
    text = linecache.getline(code.co_filename, line).strip()
    for code, line in reversed(steps):  # a comprehension is in a function, which has a name
        if code.co_name not in UNNAMED:
            where = f" in line {line - code.co_firstlineno + 1} of {code.co_name}"
            return f"{where}, `{text}`" if text else where
    return f" in `{text}`" if text else ""
