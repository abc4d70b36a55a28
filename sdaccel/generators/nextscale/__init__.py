"""What VAR and HART share: the geometry of scales, the canvas f_hat, the KV cache and token sampling."""
