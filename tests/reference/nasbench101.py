"""The official API's way of reading NAS-Bench-101: record by record, with json and a compiled protobuf."""

import base64
import functools
import json

import numpy as np
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

EVALUATION = ("current_epoch", "training_time", "train_accuracy", "validation_accuracy", "test_accuracy")


@functools.cache
def model_metrics_class():
    """The `ModelMetrics` message of nasbench's model_metrics.proto."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="model_metrics.proto", package="nasbench", syntax="proto2")
    evaluation = file.message_type.add(name="EvaluationData")
    for number, name in enumerate(EVALUATION, start=1):
        evaluation.field.add(name=name, number=number, type=field.TYPE_DOUBLE, label=field.LABEL_OPTIONAL)
    evaluation.field.add(name="checkpoint_path", number=6, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    metrics = file.message_type.add(name="ModelMetrics")
    metrics.field.add(
        name="evaluation_data",
        number=1,
        type=field.TYPE_MESSAGE,
        type_name=".nasbench.EvaluationData",
        label=field.LABEL_REPEATED,
    )
    metrics.field.add(name="trainable_parameters", number=2, type=field.TYPE_INT32, label=field.LABEL_OPTIONAL)
    metrics.field.add(name="total_time", number=3, type=field.TYPE_DOUBLE, label=field.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("nasbench.ModelMetrics"))


def write_official(path, records):
    """Writes a file of the official format; returns the number of records.

    A record is a hash (32 hexadecimal digits), epochs, a cell, its number of parameters, and three evaluations of
    (epoch, training time in seconds, accuracy on training, validation and test images).
    """
    count = 0
    with tf.io.TFRecordWriter(str(path)) as writer:
        for module_hash, epochs, cell, parameters, evaluations in records:
            adjacency = "".join(map(str, cell.adjacency.ravel().tolist()))
            metrics = encode_metrics(parameters, evaluations)
            row = [module_hash, epochs, adjacency, ",".join(cell.operations), base64.b64encode(metrics).decode()]
            writer.write(json.dumps(row).encode())
            count += 1
    return count


def encode_metrics(parameters, evaluations):
    """A serialised `ModelMetrics`."""
    metrics = model_metrics_class()(
        evaluation_data=[dict(zip(EVALUATION, values, strict=True)) for values in evaluations],
        trainable_parameters=parameters,
        total_time=evaluations[-1][1],
    )
    return metrics.SerializeToString(deterministic=True)


def read_rows(path):
    """hash -> fixed statistics, and hash -> epochs -> list of computed statistics."""
    message = model_metrics_class()
    fixed, computed = {}, {}
    for serialized in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        module_hash, epochs, adjacency, operations, raw_metrics = json.loads(serialized.decode())
        size = int(np.sqrt(len(adjacency)))
        matrix = np.array([int(entry) for entry in adjacency], np.int8).reshape(size, size)
        metrics = message.FromString(base64.b64decode(raw_metrics))
        if module_hash not in fixed:
            fixed[module_hash] = {
                "module_adjacency": matrix,
                "module_operations": operations.split(","),
                "trainable_parameters": metrics.trainable_parameters,
            }
            computed[module_hash] = {}
        point = {}
        for prefix, evaluation in zip(("halfway", "final"), metrics.evaluation_data[1:3], strict=True):
            point[f"{prefix}_training_time"] = evaluation.training_time
            point[f"{prefix}_train_accuracy"] = evaluation.train_accuracy
            point[f"{prefix}_validation_accuracy"] = evaluation.validation_accuracy
            point[f"{prefix}_test_accuracy"] = evaluation.test_accuracy
        computed[module_hash].setdefault(epochs, []).append(point)
    return fixed, computed
