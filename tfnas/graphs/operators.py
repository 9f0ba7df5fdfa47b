"""The operators of computation graphs: one vocabulary, and how TensorFlow, ONNX and ATen call its entries.

A stored graph holds an operator as its index in `OPERATORS`. New entries are only ever added at the end, so that an
index keeps its meaning; a model that was saved with a shorter vocabulary sees the new ones as `unknown`. An operator
without an entry is `unknown` too, and keeps the name that its source gives it.

References:
  The first 27 entries, in this order, are those of GENNAPE (Mills et al. 2022, arXiv:2211.17226), whose layout of
  computation graphs Han et al. 2023 (arXiv:2302.10835) use.
"""

UNKNOWN, INPUT, OUTPUT = "unknown", "input", "output"
CONV, DEPTHWISE_CONV, CONV_TRANSPOSE, MATMUL = "conv", "depthwise_conv", "conv_transpose", "matmul"
BATCH_NORM, LAYER_NORM, RMS_NORM = "batch_norm", "layer_norm", "rms_norm"
GROUP_NORM, L2_NORM, EMBEDDING, CLIP = "group_norm", "l2_norm", "embedding", "clip"
RELU6, SWISH, GELU = "relu6", "swish", "gelu"

OPERATORS: tuple[str, ...] = (
    *(UNKNOWN, INPUT, OUTPUT, CONV, DEPTHWISE_CONV, BATCH_NORM, "relu", RELU6, MATMUL, "add", "mul", "concat"),
    *("max_pool", "avg_pool", "sigmoid", "tanh", SWISH, GELU, "pad", "mean"),
    *("space_to_batch", "batch_to_space", "space_to_depth", "depth_to_space", "global", "identity", "zero"),
    *(CONV_TRANSPOSE, LAYER_NORM, GROUP_NORM, RMS_NORM, L2_NORM, "lrn", "softmax", "log_softmax", EMBEDDING),
    *("sub", "div", "maximum", "minimum", "pow", "square", "sqrt", "rsqrt", "exp", "log", "erf", "abs", "neg"),
    *("sin", "cos", "sign", "floor", "mod", "leaky_relu", "prelu", "elu", "selu", "softplus", "softsign"),
    *("sum", "max", "min", "prod", "variance", "argmax", "top_k", "sort", "gather", "scatter", "resize", "roll"),
    *("cumsum", "compare", "logical", "select", "fft", "lstm", "gru", "rnn", "grid_sample", "unfold", "one_hot"),
    *("random", "non_max_suppression", CLIP),
)
CODES = {name: code for code, name in enumerate(OPERATORS)}

WEIGHTED = frozenset({CONV, DEPTHWISE_CONV, CONV_TRANSPOSE, MATMUL})
"""Operators that have a kernel and may have a bias."""

DROP, SHAPE = "(drop)", "(shape)"
"""Not operators: `DROP` passes its data on unchanged but for its layout; `SHAPE` depends on the shape of data alone."""


def _table(**names: str) -> dict[str, str]:
    return {name: operator for operator, listed in names.items() for name in listed.split()}


_PASSED_TENSORFLOW = """
    Identity IdentityN Cast Reshape Transpose Squeeze ExpandDims StopGradient CheckNumerics PreventGradient EnsureShape
    Snapshot Slice StridedSlice Split SplitV Unpack Tile BroadcastTo ReverseV2 MatrixBandPart BatchMatrixBandPart
    Placeholder PlaceholderWithDefault Bitcast MatrixDiagPartV3 MirrorPadGrad"""

TENSORFLOW: dict[str, str] = {
    **dict.fromkeys(_PASSED_TENSORFLOW.split(), DROP),
    **_table(
        conv="Conv2D Conv3D Conv",
        depthwise_conv="DepthwiseConv2dNative",
        conv_transpose="Conv2DBackpropInput Conv3DBackpropInputV2",
        matmul="MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3 Einsum XlaEinsum",
        batch_norm="FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3",
        relu="Relu",
        relu6="Relu6",
        add="Add AddV2 AddN BiasAdd",
        mul="Mul MulNoNan",
        concat="ConcatV2 Concat Pack",
        max_pool="MaxPool MaxPoolV2 MaxPool3D MaxPoolWithArgmax",
        avg_pool="AvgPool AvgPool3D",
        sigmoid="Sigmoid",
        tanh="Tanh",
        pad="Pad PadV2 MirrorPad",
        mean="Mean",
        space_to_batch="SpaceToBatchND SpaceToBatch",
        batch_to_space="BatchToSpaceND BatchToSpace",
        space_to_depth="SpaceToDepth",
        depth_to_space="DepthToSpace",
        zero="ZerosLike",
        softmax="Softmax",
        log_softmax="LogSoftmax",
        lrn="LRN",
        embedding="ResourceGather",
        gather="Gather GatherV2 GatherNd",
        scatter="ScatterNd TensorScatterUpdate TensorScatterAdd UnsortedSegmentSum SegmentSum",
        sub="Sub",
        div="Div RealDiv DivNoNan FloorDiv Reciprocal Inv",
        maximum="Maximum",
        minimum="Minimum",
        pow="Pow",
        square="Square SquaredDifference",
        sqrt="Sqrt",
        rsqrt="Rsqrt",
        exp="Exp Expm1",
        log="Log Log1p",
        erf="Erf Erfc",
        abs="Abs",
        neg="Neg",
        sin="Sin",
        cos="Cos",
        sign="Sign",
        floor="Floor Ceil Round Rint",
        mod="FloorMod Mod",
        leaky_relu="LeakyRelu",
        elu="Elu",
        selu="Selu",
        softplus="Softplus",
        softsign="Softsign",
        sum="Sum",
        max="Max",
        min="Min",
        prod="Prod",
        argmax="ArgMax ArgMin",
        top_k="TopK TopKV2",
        sort="SortV2",
        resize="ResizeBilinear ResizeNearestNeighbor ResizeBicubic ScaleAndTranslate CropAndResize",
        roll="Roll",
        cumsum="Cumsum",
        compare="Equal NotEqual Greater GreaterEqual Less LessEqual",
        logical="LogicalAnd LogicalOr LogicalNot All Any BitwiseAnd BitwiseOr",
        select="Select SelectV2 Where",
        clip="ClipByValue",
        fft="FFT FFT2D FFTND RFFT RFFT2D IFFT IFFT2D IRFFT IRFFT2D",
        unfold="ExtractImagePatches",
        one_hot="OneHot",
        random="RandomUniform RandomStandardNormal StatelessRandomUniformV2 StatelessRandomNormalV2",
        non_max_suppression="NonMaxSuppressionV3 NonMaxSuppressionV4 NonMaxSuppressionV5 CombinedNonMaxSuppression",
    ),
    **dict.fromkeys(("Shape", "ShapeN", "Size", "Rank"), SHAPE),
}

_PASSED_ONNX = """
    Identity Cast CastLike Reshape Transpose Squeeze Unsqueeze Flatten Slice Split SplitToSequence SequenceAt Expand
    Tile Dropout Trilu ReverseSequence DequantizeLinear QuantizeLinear"""

ONNX: dict[str, str] = {
    **dict.fromkeys(_PASSED_ONNX.split(), DROP),
    **_table(
        conv="Conv ConvInteger QLinearConv",
        conv_transpose="ConvTranspose",
        matmul="MatMul Gemm Einsum MatMulInteger QLinearMatMul",
        batch_norm="BatchNormalization",
        layer_norm="LayerNormalization",
        group_norm="GroupNormalization InstanceNormalization",
        rms_norm="RMSNormalization",
        l2_norm="LpNormalization",
        lrn="LRN",
        relu="Relu",
        relu6="HardSigmoid",
        swish="Swish",
        gelu="Gelu",
        sigmoid="Sigmoid",
        tanh="Tanh",
        add="Add Sum",
        mul="Mul",
        sub="Sub",
        div="Div Reciprocal",
        concat="Concat ConcatFromSequence",
        max_pool="MaxPool",
        avg_pool="AveragePool",
        mean="ReduceMean GlobalAveragePool Mean",
        max="ReduceMax GlobalMaxPool",
        min="ReduceMin",
        sum="ReduceSum ReduceSumSquare",
        prod="ReduceProd",
        pad="Pad",
        space_to_depth="SpaceToDepth",
        depth_to_space="DepthToSpace",
        softmax="Softmax Hardmax",
        log_softmax="LogSoftmax",
        gather="Gather GatherND GatherElements",
        scatter="ScatterND ScatterElements",
        maximum="Max",
        minimum="Min",
        select="Where",
        clip="Clip",
        pow="Pow",
        sqrt="Sqrt",
        exp="Exp",
        log="Log ReduceLogSumExp",
        erf="Erf",
        abs="Abs",
        neg="Neg",
        sin="Sin",
        cos="Cos",
        sign="Sign",
        floor="Floor Ceil Round",
        mod="Mod",
        leaky_relu="LeakyRelu",
        prelu="PRelu",
        elu="Elu Celu",
        selu="Selu",
        softplus="Softplus",
        softsign="Softsign",
        argmax="ArgMax ArgMin",
        top_k="TopK",
        resize="Resize Upsample",
        cumsum="CumSum",
        compare="Equal Greater GreaterOrEqual Less LessOrEqual IsNaN",
        logical="And Or Not Xor",
        fft="DFT STFT",
        lstm="LSTM",
        gru="GRU",
        rnn="RNN",
        grid_sample="GridSample RoiAlign",
        unfold="Im2Col",
        one_hot="OneHot NonZero",
        random="RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli",
        non_max_suppression="NonMaxSuppression",
    ),
    **dict.fromkeys(("Shape", "Size"), SHAPE),
}
