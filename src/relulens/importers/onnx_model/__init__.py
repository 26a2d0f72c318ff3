"""A reader of ONNX files: proto in, nodes out."""
