// What the library's own declarations show of the parts below: their public types, and nothing else of them.
@_exported public import Connections
@_exported public import OrderLog
