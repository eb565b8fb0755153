;;;; The package that HydraMesh's programs know.

(defpackage #:dcf.transport.thunderbolt
  (:use #:common-lisp)
  (:local-nicknames (#:tb #:dcf-thunderbolt))
  (:documentation
   "HydraMesh's Thunderbolt transport, over libdcf_thunderbolt. New programs are better off with the
package DCF-THUNDERBOLT.")
  (:export #:make-thunderbolt-transport #:thunderbolt-transport #:transport-error
           #:send-message #:open-data-stream #:close-transport
           #:get-transport-stats #:reset-transport-stats #:measure-rtt))
