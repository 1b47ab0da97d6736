class IPActorAddress:
    sockname: tuple[str, int]
    bindArgs: property
