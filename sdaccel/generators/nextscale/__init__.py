"""What VAR and HART share: layout of scales, tokenizer, canvas, KV cache, token sampling, the loop with its seam, engines."""
