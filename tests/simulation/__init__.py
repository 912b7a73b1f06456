"""The proof: worlds that try to break the promises I1-I12, and what watches over them."""
