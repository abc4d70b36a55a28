"""What VAR and HART share: the layout of scales, tokenizer, canvas, KV cache, token sampling, the loop with its seam, engines."""
