;;;; The operations that HydraMesh's programs use.

(in-package #:dcf.transport.thunderbolt)

(defun octets (data)
  "DATA as octets for the library."
  (unless (and (vectorp data) (not (stringp data)))
    (fail (format nil "Data must be a vector of octets, not ~S" data)))
  (handler-case (coerce data '(simple-array (unsigned-byte 8) (*)))
    (error ()
      (fail "Data must be a vector of octets, and has something else in it"))))

(defun checked-peer (peer)
  (if (stringp peer)
      peer
      (fail (format nil "~S is not the address of a peer" peer))))

(defgeneric send-message (transport data peer-address)
  (:documentation "Sends the octets of the vector DATA, 65,507 at most, to PEER-ADDRESS as one
control message. Returns their number.")
  (:method ((transport thunderbolt-transport) data peer-address)
    (let ((sent (translating-errors
                  (tb:send-message (inner transport) (octets data) (checked-peer peer-address)))))
      (note (logger transport) :debug "Sent ~D bytes to ~A" sent peer-address)
      sent)))

(defgeneric open-data-stream (transport peer-address)
  (:documentation "Opens a data stream to PEER-ADDRESS: a binary stream in both directions.")
  (:method ((transport thunderbolt-transport) peer-address)
    (let ((stream (translating-errors
                    (tb:open-data-stream (inner transport) (checked-peer peer-address)))))
      (note (logger transport) :info "Established data stream to ~A" peer-address)
      stream)))

(defgeneric measure-rtt (transport peer-address &key timeout payload-size)
  (:documentation "Measures a round trip to PEER-ADDRESS. Returns its seconds, a double-float, or
NIL when no answer came within TIMEOUT seconds. A ping is always 16 octets; PAYLOAD-SIZE does
nothing.")
  (:method ((transport thunderbolt-transport) peer-address &key (timeout 5.0) payload-size)
    (declare (ignore payload-size))
    (translating-errors
      (handler-case (tb:measure-rtt (inner transport) (checked-peer peer-address)
                                    :timeout timeout)
        ;; No peer or no link: no answer came.
        ((or tb:connection-error tb:link-down-error tb:queue-full-error) (failure)
          (note (logger transport) :error "RTT ping failed: ~A" failure)
          nil)))))

(defgeneric get-transport-stats (transport)
  (:documentation "What TRANSPORT has done since it was opened or since the last
RESET-TRANSPORT-STATS, as a property list; :UPTIME is whole seconds.")
  (:method ((transport thunderbolt-transport))
    (let ((all (translating-errors (tb:statistics (inner transport)))))
      (list :messages-sent (getf all :messages-sent)
            :messages-received (getf all :messages-received)
            :bytes-sent (getf all :bytes-sent)
            :bytes-received (getf all :bytes-received)
            :connections-accepted (getf all :connections-accepted)
            :connections-initiated (getf all :connections-initiated)
            :errors (+ (getf all :errors) (first (failures transport)))
            :uptime (values (floor (getf all :uptime-ns) (expt 10 9)))))))

(defgeneric reset-transport-stats (transport)
  (:documentation "Sets the statistics to 0.")
  (:method ((transport thunderbolt-transport))
    (translating-errors (tb:reset-statistics (inner transport)))
    (bordeaux-threads:with-lock-held ((lock transport))
      (setf (first (failures transport)) 0))
    (note (logger transport) :info "Statistics reset")
    nil))
