"""Models that generate activations, one paper a file. MODELS: a name, and where it lives.

Every model is built as Model(n_inputs, n_units, n_outputs, *, options, generator), is called as
model(inputs, state=None, *, record=True) -> (outputs, named states), inputs (trial, time, input),
and moves one step with model.step(input_t, state) -> (output, state, named states). Parameters may
carry a leading network axis (torch.func.functional_call); outputs and states then carry it too.
"""

MODELS: dict[str, str] = {
    "rnn": "model_zoo.rnn:VanillaRNN",
    "leaky_rnn": "model_zoo.rnn:LeakyRNN",
    "gru": "model_zoo.gru:GRU",
    "leaky_gru": "model_zoo.gru:LeakyGRU",
    "lstm": "model_zoo.lstm:LSTM",
    "sublstm": "model_zoo.sublstm:SubLSTM",
    "mamba": "model_zoo.mamba:Mamba",
}
