def shell(request): return {}
