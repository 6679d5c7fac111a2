EMBED = "embed"


def build_embedding_job(a, b): ...
