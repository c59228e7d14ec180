"""The page for people: events as they arrive, boards, refused events. Server-rendered."""
