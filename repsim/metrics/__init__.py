"""The metrics, one method a file. METRICS is the table: a name, and where it lives.

OPT_IN is run by name alone: slow, other people's, or in need of more than activations. TUNED stands
on a full board beside the metrics as they are: parameters by held-out prediction, blind to scores.
"""

METRICS = {
    "linear_cka": "repsim.metrics.linear_cka:linear_cka",
    "debiased_cka": "repsim.metrics.debiased_cka:debiased_cka",
    "rbf_cka": "repsim.metrics.rbf_cka:rbf_cka",
    "procrustes": "repsim.metrics.procrustes:procrustes",
    "angular_procrustes": "repsim.metrics.angular_procrustes:angular_procrustes",
    "delay_cka": "repsim.metrics.delay_cka:delay_cka",
    "delay_procrustes": "repsim.metrics.delay_procrustes:delay_procrustes",
    "dsa": "repsim.metrics.dsa:dsa",
    "dsa_spectrum": "repsim.metrics.dsa_spectrum:dsa_spectrum",
    "constant": "repsim.metrics.controls:constant",
    "random": "repsim.metrics.controls:random",
    "shuffled_trials": "repsim.metrics.controls:shuffled_trials",
    "shuffled_time": "repsim.metrics.controls:shuffled_time",
    "relative_speed": "repsim.metrics.controls:relative_speed",
    "radial_profile": "repsim.metrics.controls:radial_profile",
    "oracle": "repsim.metrics.controls:oracle",
}

TUNED = ("dsa(delays='auto', rank='auto')", "dsa_spectrum(delays='auto', rank='auto')")

OPT_IN = {
    "input_dsa": "repsim.metrics.input_dsa:input_dsa",
    "reference_dsa": "repsim.metrics.reference_dsa:reference_dsa",
}
