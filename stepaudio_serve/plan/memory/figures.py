"""The figures that the estimate rests on, each with its source.

"the fork" is github.com/stepfun-ai/vllm, branch `step-audio2-mini`, commit 9ecabf22: what the released image is
assumed to be built from. An inferred figure was fitted to what others report of that image; nothing was measured here.
"""

from __future__ import annotations

GIB = 2**30

NON_TORCH_AND_PEAK_GIB = 1.2
"""CUDA context, NCCL and the language model's largest intermediate tensors. Inferred."""

ENCODER_CLIP_GIB = 0.4
"""What the audio encoder takes for one clip while the engine measures its peak. Inferred."""

ENCODER_TOKENS_PER_CLIP = 365
"""Tokens of the dummy clip of 29 s: the engine measures with as many as a step's tokens hold (the fork's profiling)."""

CLIP_TOKENS = 377
"""The longest clip, 29.98 s, is 375 tokens and two marks (run on the fork's code); a step has to hold one whole."""

AUDIO_TOKENS_PER_SECOND = 12.5
"""Run on the fork's code: 400,000 samples at 16 kHz become 313 tokens."""

ANSWER_TOKENS = 4096
"""Left for the answer, of which the thinking is the longest part: 2300 to 2800 tokens in the authors' examples."""

LARGE_CARD_GIB = 70
LARGE_CARD_STEP = 8192
CARD_STEP = 2048
"""The engine's default max_num_batched_tokens: 8192 from 70 GiB up, else 2048 (the fork's argument defaults).

A100s keep to 2048 whatever their size: upstream vLLM's test of these defaults says so, of the fork it is inferred.
"""

SMALLEST_STEP = 512
"""Smaller steps free next to nothing (one clip is measured in any case) and slow prompts down. A choice of ours."""

BLOCK_TOKENS = 16
"""The KV cache is handed out in blocks of so many tokens (the engine's default block size)."""

GRAPHS_GIB = 1.0
"""What CUDA graphs may take; they come out of what the budget leaves free of the card. Inferred."""

MARGIN = 0.9
"""The share of the estimated tokens that is relied on: the estimate is promised within a tenth of what is measured."""

LISTENING = "StepAudio2ForCausalLM"
"""The architecture that has an audio encoder even where its config.json does not tell the encoder's shape."""
