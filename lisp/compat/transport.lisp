;;;; Transports with the interface of HydraMesh.

(in-package #:dcf.transport.thunderbolt)

(defclass thunderbolt-transport ()
  ((inner :initform nil :accessor inner)
   (logger :initform nil :accessor logger)
   ;; Errors in handlers. A cell, so that threads need not hold the transport itself.
   (failures :initform (list 0) :reader failures)
   (lock :initform (bordeaux-threads:make-lock "dcf.transport.thunderbolt") :reader lock))
  (:documentation "A transport. MAKE-THUNDERBOLT-TRANSPORT makes it, and so does
(MAKE-INSTANCE 'THUNDERBOLT-TRANSPORT :CONFIG CONFIG :MESSAGE-HANDLER HANDLER) with CONFIG a list of
:INTERFACE, :CONTROL-PORT, :DATA-PORT and :LOGGER."))

(defun note (logger level control &rest arguments)
  "Calls LOGGER. An error in it does not affect the logged operation."
  (when logger
    (ignore-errors
     (funcall logger level (apply #'format nil control arguments)))))

(defun error-noter (logger failures lock)
  "Handles an error in a handler."
  (lambda (condition)
    (bordeaux-threads:with-lock-held (lock)
      (incf (first failures)))
    (note logger :error "Message handler error: ~A" condition)))

(defun control-caller (handler logger)
  (lambda (octets sender)
    (note logger :debug "Received ~D bytes from ~A" (length octets) sender)
    (when handler
      (funcall handler :control-message octets))))

(defun stream-caller (handler logger)
  (lambda (stream peer)
    (note logger :debug "Data stream from ~A" peer)
    (when handler
      (funcall handler :data-stream stream))))

(defmethod initialize-instance :after ((transport thunderbolt-transport)
                                       &key config message-handler)
  (let* ((logger (getf config :logger))
         (interface (or (getf config :interface) "thunderbolt0"))
         (inner (translating-errors
                  (tb:open-transport
                   :interface interface
                   :control-port (or (getf config :control-port) 5000)
                   :data-port (or (getf config :data-port) 5001)
                   ;; Also without a handler, so that messages do not queue up.
                   :message-handler (control-caller message-handler logger)
                   :stream-handler (stream-caller message-handler logger)
                   :error-handler (error-noter logger (failures transport) (lock transport))))))
    (setf (inner transport) inner
          (logger transport) logger)
    (multiple-value-bind (control data) (tb:transport-ports inner)
      (note logger :info "Initialized interface ~A" interface)
      (note logger :info "UDP socket bound to port ~D" control)
      (note logger :info "TCP listener bound to port ~D" data))))

(defun make-thunderbolt-transport (&key (interface "thunderbolt0") (control-port 5000)
                                     (data-port 5001) message-handler logger)
  "Opens a transport on INTERFACE.

MESSAGE-HANDLER is called with :CONTROL-MESSAGE and a fresh vector of octets for each message, one
at a time; and with :DATA-STREAM and a binary stream for each stream that a peer opens, on a thread
of its own. The stream is closed when the handler returns. Errors in it are logged and counted.

LOGGER is called with :DEBUG, :INFO, :WARN or :ERROR, and a string."
  (make-instance 'thunderbolt-transport
                 :config (list :interface interface :control-port control-port
                               :data-port data-port :logger logger)
                 :message-handler message-handler))

(defgeneric close-transport (transport)
  (:documentation "Closes TRANSPORT and its streams. A second close does nothing.")
  (:method ((transport thunderbolt-transport))
    (when (translating-errors (tb:close-transport (inner transport)))
      (note (logger transport) :info "Transport closed"))
    nil))
