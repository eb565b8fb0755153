;;;; Opening and closing transports.

(in-package #:dcf-thunderbolt/tests)

(in-suite life)

(test open-and-close
  (let ((transport (open-transport :interface "lo" :control-port 0 :data-port 0)))
    (is-true (transport-open-p transport))
    (is (string= "lo" (transport-interface transport)))
    (is (every #'plusp (multiple-value-list (transport-ports transport))))
    (is-true (transport-link-up-p transport))
    (is (typep (transport-event-descriptor transport) '(integer 3)))
    (is-true (search "lo" (prin1-to-string transport)))
    (is-true (close-transport transport))
    (is-false (transport-open-p transport))
    (is-true (search "closed" (prin1-to-string transport)))
    (is-false (close-transport transport) "the second time there is nothing to close")
    (signals closed-error (transport-ports transport))
    (signals closed-error (transport-interface transport))
    (signals closed-error (transport-event-descriptor transport))
    (signals closed-error (statistics transport))
    (signals closed-error (send-message transport (octets 1) "::1"))
    (signals closed-error (receive-message transport :timeout 1))
    (signals closed-error (open-data-stream transport "::1"))
    (signals closed-error (accept-data-stream transport))
    (signals closed-error (measure-rtt transport "::1"))
    (signals closed-error (ping transport "::1"))
    (signals closed-error (discover transport))))

(test settings-that-change
  (with-loopback (transport)
    (is (= 1024 (transport-setting transport :max-streams)))
    (is (eq :info (transport-setting transport :log-level)))
    (is (eq nil (transport-setting transport :allow-any-source)))
    (loop for (setting . values) in '((:log-level :debug :info :warn :error)
                                      (:busy-poll-us 0 4294967295 50)
                                      (:receive-queue 0 7 1024)
                                      (:receive-queue-bytes 0 1000000)
                                      (:max-streams 0 1000)
                                      (:max-silent-streams 0 10)
                                      (:silent-after-ms 0 10000)
                                      (:connect-timeout-ms 0 10000)
                                      (:stream-dead-after-ms 0 3000)
                                      (:allow-any-source t nil))
          do (dolist (value values)
               (is (eql value (setf (transport-setting transport setting) value)))
               (is (eql value (transport-setting transport setting)) "~S ~S" setting value)))
    (setf (transport-setting transport :log-level) 2)
    (is (eq :info (transport-setting transport :log-level)))
    (setf (transport-setting transport :max-streams) 0)
    (signals too-many-connections-error (open-data-stream transport "::1"))))

(test settings-that-do-not-change
  (with-loopback (transport)
    (loop for (setting value words) in '((:control-port 7 ":CONTROL-PORT cannot become 7: it is fixed")
                                         (:size 7 ":SIZE is no setting")
                                         ("max_streams" 7 "is no setting")
                                         (:log-level 5 "log_level is 5: it must be 1 to 4")
                                         (:log-level :loud ":LOG-LEVEL cannot become :LOUD")
                                         (:max-streams -1 ":MAX-STREAMS cannot become -1")
                                         (:max-streams 4294967296 "max_streams is 4294967296"))
          do (handler-case (progn (setf (transport-setting transport setting) value)
                                  (fail "~S became ~S" setting value))
               (invalid-configuration-error (failure)
                 (is-true (search words (error-message failure)) "~S" (error-message failure)))))
    (signals invalid-configuration-error (transport-setting transport :interface))
    (is (= 1024 (transport-setting transport :max-streams)))
    (close-transport transport)
    (signals closed-error (transport-setting transport :max-streams))
    (signals closed-error (setf (transport-setting transport :max-streams) 1))))

(test ports-are-free-again
  (multiple-value-bind (control data)
      (with-loopback (transport)
        (transport-ports transport))
    (dotimes (i 20)
      (with-transport (transport :interface "lo" :control-port control :data-port data)
        (is (equal (list control data) (multiple-value-list (transport-ports transport))))))))

(test with-transport-closes
  (let (kept)
    (is (eq :value (with-loopback (transport)
                     (setf kept transport)
                     :value)))
    (is-false (transport-open-p kept))
    (ignore-errors
     (with-loopback (transport)
       (setf kept transport)
       (error "on the way")))
    (is-false (transport-open-p kept))))

(defmacro closing-wakes (form)
  "Checks that FORM, which waits on TRANSPORT, ends with a CLOSED-ERROR when TRANSPORT is closed."
  `(let* ((transport (open-transport :interface "lo" :control-port 0 :data-port 0))
          (ending (in-thread ,form)))
     (sleep 0.05)
     (close-transport transport)
     (is (typep (funcall ending) 'closed-error))))

(test close-wakes-waiting-calls
  (closing-wakes (receive-message transport))
  (closing-wakes (accept-data-stream transport))
  (closing-wakes (wait-link transport :up nil))
  (closing-wakes (loop (discover transport)))
  (closing-wakes (with-data-stream (stream transport (data-peer transport))
                   (read-byte stream)))
  (closing-wakes (with-data-stream (stream transport (data-peer transport))
                   (loop (write-sequence (pattern 100000) stream)))))

(defun lose (function)
  "Calls FUNCTION on a thread of its own. A conservative collector, such as ECL's, keeps what it takes
for a pointer on any stack; this one is gone."
  (bt:join-thread (bt:make-thread (lambda () (funcall function) nil))))

(test lost-objects-are-closed
  "The garbage collector closes transports and streams that the program lost."
  (with-loopback (transport)
    (let ((lost '()))
      (lose (lambda ()
              (setf lost (multiple-value-list
                          (transport-ports (open-transport :interface "lo" :control-port 0
                                                           :data-port 0))))))
      (lose (lambda () (open-data-stream transport (data-peer transport))))
      (is (= 1 (getf (statistics transport) :connections-initiated)))
      (eventually (progn
                    (lose (lambda () (accept-data-stream transport :accept-timeout 0)))
                    (trivial-garbage:gc :full t)
                    (let ((now (statistics transport)))
                      (and (= 1 (getf now :connections-accepted))
                           (= 0 (getf now :streams-open))))))
      (eventually (handler-case
                      (with-transport (again :interface "lo" :control-port (first lost)
                                             :data-port (second lost))
                        (transport-open-p again))
                    (address-in-use-error ()
                      (trivial-garbage:gc :full t)
                      nil))))))

(test a-lost-transport-with-handlers-is-closed-too
  (let ((ports '()))
    (lose (lambda ()
            (setf ports (multiple-value-list
                         (transport-ports (open-transport :interface "lo" :control-port 0 :data-port 0
                                                          :message-handler #'list
                                                          :stream-handler #'list))))))
    (eventually (handler-case
                    (with-transport (again :interface "lo" :control-port (first ports)
                                           :data-port (second ports))
                      (transport-open-p again))
                  (address-in-use-error ()
                    (trivial-garbage:gc :full t)
                    nil)))))

(test many-at-once
  (let ((transports (loop repeat 20
                          collect (open-transport :interface "lo" :control-port 0 :data-port 0))))
    (unwind-protect
         (loop for (one other) on transports
               while other
               do (send-message one (octets 1 2) (control-peer other))
                  (is (equalp (octets 1 2) (receive-message other :timeout +generous+))))
      (mapc #'close-transport transports))))
