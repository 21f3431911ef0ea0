"""Assembly: the only place that knows every concrete class.

One module per program, and each program loads only its own.
"""
