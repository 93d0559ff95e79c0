"""Options of Hugging Face, PEFT and TRL that a configuration here has not, and why.

A far resemblance to another key would be no help to somebody who means what they wrote.
"""

from __future__ import annotations

_PLAIN = "not supported: only plain LoRA merges exactly"
_PRECISION = "not supported: training is in bfloat16 (bf16) or float32"
_HUB = "not supported: nothing is sent to the hub"
_EVALUATION = "not supported: a run is evaluated before and after training, never between"
_RANKS = "not supported: several processes train with DistributedDataParallel, or deepspeed"
_LOG = "not supported: the run's own log is the report, and nothing is sent elsewhere"
_OPTIMIZER = "not supported: the optimizer is AdamW, with adam_beta1, adam_beta2 and adam_epsilon"

UNSUPPORTED: dict[str, str] = {
    **dict.fromkeys(
        (
            *("use_dora", "use_rslora", "use_qalora", "modules_to_save", "rank_pattern"),
            *("alpha_pattern", "lora_bias", "bias", "fan_in_fan_out", "target_parameters"),
            *("init_lora_weights", "layer_replication", "trainable_token_indices", "peft_type"),
            *("loftq_config", "eva_config", "corda_config", "arrow_config"),
        ),
        _PLAIN,
    ),
    **dict.fromkeys(
        ("layers_to_transform", "layers_pattern", "exclude_modules"),
        "not supported: lora_target_modules names what is adapted, in every layer",
    ),
    **dict.fromkeys(
        ("load_in_4bit", "load_in_8bit", "quantization_config", "bnb_4bit_quant_type"),
        "not supported: the base is adapted as it is merged, in bfloat16",
    ),
    **dict.fromkeys(("fp16", "fp16_full_eval", "tf32", "torch_dtype", "dtype"), _PRECISION),
    **dict.fromkeys(("optim", "optim_args", "optimizer", "adafactor"), _OPTIMIZER),
    **dict.fromkeys(("push_to_hub", "hub_model_id", "hub_token", "hub_strategy"), _HUB),
    **dict.fromkeys(
        ("eval_strategy", "evaluation_strategy", "eval_steps", "load_best_model_at_end"),
        _EVALUATION,
    ),
    **dict.fromkeys(("report_to", "run_name", "logging_dir"), _LOG),
    "lr_scheduler_kwargs": "not supported: take a schedule that needs none, such as cosine",
    "warmup_ratio": "not supported: give warmup_steps, in optimizer steps",
    "save_strategy": "not supported: checkpoints are written every save_steps",
    "resume_from_checkpoint": "not needed: the same command given again resumes the run",
    "overwrite_output_dir": "not supported: a run is never overwritten",
    "eval_packing": "not supported: batches list one record per sample",
    **dict.fromkeys(("fsdp", "fsdp_config"), _RANKS),
}
RENAMED: dict[str, str] = {
    "max_seq_length": "max_length",
    "target_modules": "lora_target_modules",
    "r": "lora_r",
    "num_epochs": "num_train_epochs",
    "batch_size": "per_device_train_batch_size",
}
"""Names of the same settings in other places, and their names here."""
