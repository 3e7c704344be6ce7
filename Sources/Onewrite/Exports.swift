// What the library's own declarations show of the parts below: their public types, and nothing else of them.
@_exported public import Audit
@_exported public import Connections
@_exported public import Inspection
@_exported public import OrderLog
@_exported public import Reports
