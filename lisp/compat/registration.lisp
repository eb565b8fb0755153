;;;; Registers the transport if DCF's plugin manager is loaded.

(in-package #:dcf.transport.thunderbolt)

(defun make-from-config (config &key message-handler)
  (make-instance 'thunderbolt-transport :config config :message-handler message-handler))

(let* ((package (find-package '#:dcf.plugin-manager))
       (register (and package (find-symbol (string '#:register-transport) package))))
  (when (and register (fboundp register))
    (funcall register "thunderbolt" #'make-from-config)))
