"""What every column of the report's tables means."""

SAMPLE_COLUMNS: dict[str, str] = {
    "row": "position of the input in its source, from 0",
    "name": "name of the input in its source, such as a file name, or null",
    "label": "true class, or null where there are no labels",
    "prediction": "class with the largest output; null for a single output",
    "output": "the largest output (the only one, for a single output)",
    "margin": "largest output minus the second largest",
    "label_margin": "output of the label minus the largest other; below 0 if wrong",
    "correct": "whether the prediction is the label",
    "prediction_status": "ok, or why the columns of this question are null",
    "active_fraction": "units with a positive argument, of all two-slope units",
    "region": "name of the input's region: inputs with one pattern share it",
    "activity_status": "ok, or why the columns of this question are null",
    "slope_largest": "largest singular value of the output slope",
    "slope_smallest": "smallest singular value of the output slope above its rank"
    " tolerance",
    "slope_rank": "singular values of the output slope above the tolerance",
    "slope_frobenius": "Frobenius norm of the output slope",
    "template_norm": "Euclidean norm of the slope's row of the prediction",
    "template_part": "that row times the input",
    "offset_part": "offset of the prediction; template part + offset part = output",
    "margin_distance": "smallest of margin_c / |row of the prediction - row c| over the"
    " other classes: where the local affine map changes its mind (l2)",
    "nearest_class": "the class c of that smallest value",
    "slope_status": "ok, or why the columns of this question are null",
    "boundary_distance": "l2 distance to the nearest face of the input's region",
    "boundary_complete": "whether that distance is exact; else it is a lower bound",
    "boundary_layer": "name of the layer whose unit that face belongs to",
    "boundary_unit": "flat index of that unit in its layer",
    "region_radius_l2": "smaller of boundary_distance and margin_distance: no smaller"
    " change of the input changes the prediction",
    "boundary_status": "ok, or why the columns of this question are null",
}
"""A row per input in ``samples.parquet``; which columns there are depends on the
questions asked."""

LAYER_COLUMNS: dict[str, str] = {
    "layer": "index in network.layers, -1 for the output",
    "name": "name in the source model",
    "operation": "what the source calls it",
    "kind": "kind of its last nonlinear node",
    "shape": "shape of its features, as text",
    "units": "entries of its features",
    "inputs": "inputs that the activity was counted on",
    "active_fraction": "mean fraction of its two-slope units with a positive argument",
    "dead_units": "two-slope units with no positive argument on any of those inputs",
    "always_active_units": "two-slope units with a positive argument on all of them",
    "spectrum_inputs": "inputs whose singular values were computed",
    "before_largest": "largest singular value of the slope up to its argument (median"
    " over those inputs, here and below)",
    "before_smallest": "smallest one above the rank tolerance",
    "before_rank": "how many are above the rank tolerance",
    "after_largest": "the same three for the slope up to its features",
    "after_smallest": "smallest one above the rank tolerance",
    "after_rank": "how many are above the rank tolerance",
    "spectrum_complete": "whether all singular values were computed, not only the"
    " largest",
}
"""A row per layer in ``layers.parquet``, and a last one for the output."""
