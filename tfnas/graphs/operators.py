"""The operators of computation graphs: one vocabulary, and the names of its entries in each source.

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

RECURRENT = frozenset({"lstm", "gru", "rnn"})
"""Operators that hold weights and nonlinearities of their own."""

ACTIVATIONS = frozenset(
    {"relu", RELU6, "sigmoid", "tanh", SWISH, GELU, "leaky_relu", "prelu", "elu", "selu", "softplus", "softsign"}
)
"""Operators that count as activation functions."""

DROP, SHAPE = "(drop)", "(shape)"
"""Not operators: `DROP` passes its data on unchanged but for its layout; `SHAPE` depends on the shape of data alone."""


def _table(**names: str) -> dict[str, str]:
    return {name: operator for operator, listed in names.items() for name in listed.split()}


_PASSED_TENSORFLOW = """
    Identity IdentityN Cast Reshape Transpose Squeeze ExpandDims StopGradient CheckNumerics PreventGradient
    EnsureShape Real Imag Complex Conj Snapshot Slice StridedSlice Split SplitV Unpack Tile BroadcastTo ReverseV2
    MatrixBandPart BatchMatrixBandPart Placeholder PlaceholderWithDefault Bitcast MatrixDiagPartV3 MirrorPadGrad
    TensorListFromTensor TensorListGetItem TensorListStack TensorListSetItem TensorListReserve"""

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
        compare="Equal NotEqual Greater GreaterEqual Less LessEqual IsNan IsInf IsFinite",
        logical="LogicalAnd LogicalOr LogicalNot All Any BitwiseAnd BitwiseOr",
        select="Select SelectV2 Where",
        clip="ClipByValue",
        fft="FFT FFT2D FFTND RFFT RFFT2D IFFT IFFT2D IRFFT IRFFT2D",
        unfold="ExtractImagePatches",
        one_hot="OneHot",
        random="RandomUniform RandomStandardNormal StatelessRandomUniformV2 StatelessRandomNormalV2",
        non_max_suppression="NonMaxSuppressionV3 NonMaxSuppressionV4 NonMaxSuppressionV5 CombinedNonMaxSuppression",
    ),
    **dict.fromkeys(("Shape", "ShapeN", "Size", "Rank", "OnesLike"), SHAPE),
}

_PASSED_TFLITE = """
    QUANTIZE DEQUANTIZE FAKE_QUANT DENSIFY CAST BITCAST RESHAPE TRANSPOSE SQUEEZE EXPAND_DIMS SLICE STRIDED_SLICE SPLIT
    SPLIT_V UNPACK TILE BROADCAST_TO REVERSE_V2 REVERSE_SEQUENCE VAR_HANDLE READ_VARIABLE REAL IMAG"""
_SAME_TFLITE = """
    relu relu6 gelu tanh elu leaky_relu prelu softmax log_softmax mean sum cumsum sub mul maximum minimum pow sqrt rsqrt
    exp log abs neg sin cos sign depth_to_space space_to_depth one_hot"""

TFLITE: dict[str, str] = {
    **dict.fromkeys(_PASSED_TFLITE.split(), DROP),
    **_table(
        conv="CONV_2D CONV_3D",
        depthwise_conv="DEPTHWISE_CONV_2D",
        conv_transpose="TRANSPOSE_CONV CONV_3D_TRANSPOSE",
        matmul="FULLY_CONNECTED BATCH_MATMUL",
        max_pool="MAX_POOL_2D",
        avg_pool="AVERAGE_POOL_2D",
        sigmoid="LOGISTIC",
        clip="RELU_N1_TO_1 RELU_0_TO_1",
        concat="CONCATENATION PACK",
        add="ADD ADD_N",
        div="DIV FLOOR_DIV",
        square="SQUARE SQUARED_DIFFERENCE",
        pad="PAD PADV2 MIRROR_PAD",
        l2_norm="L2_NORMALIZATION",
        lrn="LOCAL_RESPONSE_NORMALIZATION",
        space_to_batch="SPACE_TO_BATCH_ND",
        batch_to_space="BATCH_TO_SPACE_ND",
        max="REDUCE_MAX",
        min="REDUCE_MIN",
        prod="REDUCE_PROD",
        argmax="ARG_MAX ARG_MIN",
        top_k="TOPK_V2",
        embedding="EMBEDDING_LOOKUP",
        gather="GATHER GATHER_ND",
        scatter="SCATTER_ND SEGMENT_SUM UNSORTED_SEGMENT_SUM DYNAMIC_UPDATE_SLICE",
        resize="RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR",
        floor="FLOOR CEIL ROUND",
        mod="FLOOR_MOD",
        compare="EQUAL NOT_EQUAL GREATER GREATER_EQUAL LESS LESS_EQUAL",
        logical="LOGICAL_AND LOGICAL_OR LOGICAL_NOT REDUCE_ANY REDUCE_ALL BITWISE_XOR",
        select="SELECT SELECT_V2 WHERE",
        fft="RFFT2D",
        lstm="LSTM UNIDIRECTIONAL_SEQUENCE_LSTM BIDIRECTIONAL_SEQUENCE_LSTM",
        rnn="RNN SVDF UNIDIRECTIONAL_SEQUENCE_RNN BIDIRECTIONAL_SEQUENCE_RNN",
        random="RANDOM_UNIFORM RANDOM_STANDARD_NORMAL MULTINOMIAL",
        zero="ZEROS_LIKE",
        non_max_suppression="NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5",
    ),
    **{name.upper(): name for name in _SAME_TFLITE.split()},
    **dict.fromkeys(("SHAPE", "RANK", "FILL", "RANGE", "BROADCAST_ARGS"), SHAPE),
}

_PASSED_ONNX = """
    Identity Cast CastLike Reshape Transpose Squeeze Unsqueeze Flatten Slice Split SplitToSequence SequenceAt Expand
    Tile Dropout Trilu ReverseSequence Range"""

ONNX: dict[str, str] = {
    **dict.fromkeys(_PASSED_ONNX.split(), DROP),
    **_table(
        conv="Conv DeformConv",
        conv_transpose="ConvTranspose",
        matmul="MatMul Gemm Einsum",
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
        avg_pool="AveragePool LpPool",
        mean="ReduceMean GlobalAveragePool GlobalLpPool Mean",
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
        erf="Erf Erfc",
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
        unfold="Im2Col Col2Im",
        one_hot="OneHot NonZero",
        random="RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli",
        non_max_suppression="NonMaxSuppression",
    ),
    **dict.fromkeys(("Shape", "Size"), SHAPE),
}

_PASSED_ATEN = """
    alias clone contiguous copy detach expand expand_as flatten view view_as reshape reshape_as permute transpose t
    squeeze unsqueeze slice select split split_with_sizes chunk tensor_split unbind unflatten narrow to type_as dropout
    feature_dropout alpha_dropout getitem repeat repeat_interleave tile swapaxes movedim flip as_strided diagonal
    broadcast_tensors broadcast_to view_as_complex view_as_real real imag lift_fresh_copy
    tril triu masked_fill float _to_copy _assert_tensor_metadata pin_memory lift_fresh meshgrid atleast_2d ravel"""

ATEN: dict[str, str] = {
    **dict.fromkeys(_PASSED_ATEN.split(), DROP),
    **_table(
        conv="conv1d conv2d conv3d convolution",
        conv_transpose="conv_transpose1d conv_transpose2d conv_transpose3d",
        matmul="linear addmm mm bmm matmul baddbmm einsum mv dot outer bilinear _grouped_mm grouped_mm_fallback",
        batch_norm="batch_norm",
        layer_norm="layer_norm native_layer_norm",
        group_norm="group_norm instance_norm",
        rms_norm="rms_norm",
        lrn="local_response_norm",
        relu="relu",
        relu6="relu6 hardsigmoid",
        swish="silu",
        gelu="gelu",
        sigmoid="sigmoid",
        tanh="tanh",
        elu="elu celu",
        selu="selu",
        leaky_relu="leaky_relu",
        prelu="prelu",
        softplus="softplus",
        clip="hardtanh clamp clamp_min clamp_max",
        softmax="softmax _softmax _safe_softmax",
        log_softmax="log_softmax",
        embedding="embedding",
        add="add",
        sub="sub rsub",
        mul="mul multiply",
        div="div reciprocal floor_divide true_divide",
        concat="cat concat concatenate stack hstack vstack",
        max_pool="max_pool1d max_pool2d max_pool3d max_pool2d_with_indices adaptive_max_pool1d adaptive_max_pool2d",
        avg_pool="avg_pool1d avg_pool2d avg_pool3d",
        mean="mean adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d",
        sum="sum",
        max="max amax logsumexp",
        min="min amin",
        prod="prod",
        variance="var std var_mean",
        l2_norm="linalg_vector_norm norm",
        pad="""pad constant_pad_nd reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d
        replication_pad3d""",
        depth_to_space="pixel_shuffle",
        space_to_depth="pixel_unshuffle",
        resize="""upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d
        upsample_nearest3d upsample_trilinear3d""",
        roll="roll",
        cumsum="cumsum cumprod",
        maximum="maximum",
        minimum="minimum",
        pow="pow",
        square="square",
        sqrt="sqrt",
        rsqrt="rsqrt",
        exp="exp",
        log="log log1p log_sigmoid",
        erf="erf",
        abs="abs",
        neg="neg",
        sin="sin",
        cos="cos",
        sign="sign",
        floor="floor ceil round",
        mod="remainder fmod",
        argmax="argmax argmin",
        top_k="topk",
        sort="sort argsort",
        gather="gather index index_select take_along_dim",
        scatter="scatter scatter_add scatter_reduce index_put index_add masked_scatter",
        compare="eq ne gt ge lt le isinf isnan",
        logical="logical_and logical_or logical_not bitwise_and bitwise_or bitwise_not __and__ __or__ all any",
        select="where",
        fft="""fft_fft fft_fft2 fft_fftn fft_rfft fft_rfft2 fft_rfftn fft_irfft fft_irfft2 fft_irfftn fft_ifft2 stft
        istft""",
        unfold="im2col unfold col2im",
        one_hot="one_hot",
        lstm="lstm",
        gru="gru",
        rnn="rnn_tanh rnn_relu",
        grid_sample="grid_sampler grid_sampler_2d grid_sampler_3d roi_align roi_pool",
        random="rand randn rand_like randn_like bernoulli uniform normal",
        zero="zeros_like",
    ),
    **dict.fromkeys(("sym_size", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full"), SHAPE),
}
