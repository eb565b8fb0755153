;;;; Round trips, discovery, statistics.

(in-package #:dcf-thunderbolt/tests)

(in-suite round-trips)

(defun call-with-silent-peer (function)
  "Calls FUNCTION with a peer that receives everything and answers nothing."
  (let ((socket (plain:open-udp 0)))
    (unwind-protect (funcall function (format nil "[::1%lo]:~D" (plain:local-port socket)))
      (plain:close-socket socket))))

(test a-round-trip
  (with-pair (here there)
    (let ((time (measure-rtt here (control-peer there) :timeout +generous+)))
      (is (typep time 'double-float))
      (is (< 0 time +generous+)))
    (is (null (receive-message there :timeout 0)) "pings are no messages")))

(test no-answer
  (with-loopback (transport)
    (call-with-silent-peer
     (lambda (peer)
       (is (null (measure-rtt transport peer :timeout 0)))
       (is (null (measure-rtt transport peer :timeout 0.01)))
       (is (null (measure-rtt transport peer :timeout 1/4)))
       (let ((summary (ping transport peer :count 2 :timeout 0.01)))
         (is (= 2 (getf summary :sent)))
         (is (= 0 (getf summary :received)))
         (is (null (getf summary :p50))))))))

(test nothing-listens
  (with-loopback (transport)
    (let (closed)
      (call-with-silent-peer (lambda (peer) (setf closed peer)))
      ;; A busy kernel drops some ICMP errors, so a single call may not get one.
      (handler-case (loop repeat 100
                          do (measure-rtt transport closed :timeout 3/10)
                          finally (fail "nothing listens there"))
        (connection-refused-error (condition)
          (is (= 111 (error-errno condition)))
          (is-true (search "UDP port" (error-message condition)))))
      (signals connection-refused-error
        (loop repeat 100 do (ping transport closed :count 2 :timeout 3/10))))))

(test a-series
  (with-pair (here there)
    (let ((summary (ping here (control-peer there) :count 50 :timeout +generous+)))
      (is (= 50 (getf summary :sent) (getf summary :received)))
      (is (<= 0d0 (getf summary :min) (getf summary :p50) (getf summary :p90) (getf summary :p99)
              (getf summary :p999) (getf summary :max)))
      (is (<= (getf summary :min) (getf summary :mean) (getf summary :max))))
    (let ((start (get-internal-real-time)))
      (ping here (control-peer there) :count 3 :interval 0.05 :timeout +generous+)
      (is (<= 0.09 (/ (- (get-internal-real-time) start) internal-time-units-per-second))))
    (signals type-error (ping here (control-peer there) :count 0))))

(test figures-of-a-series
  (is (equal '(:sent 12 :received 10 :min 1 :mean 11/2 :p50 5 :p90 9 :p99 10 :p999 10 :max 10)
             (dcf-thunderbolt::summary 12 '(3 1 2 10 9 8 7 6 5 4))))
  (is (equal '(:sent 1 :received 1 :min 7 :mean 7 :p50 7 :p90 7 :p99 7 :p999 7 :max 7)
             (dcf-thunderbolt::summary 1 '(7)))))

(test the-librarys-own-series
  "The raw function fills the struct as the header says."
  (with-pair (here there)
    (cffi:with-foreign-object (summary '(:struct ffi:rtt))
      (flet ((slot (name) (cffi:foreign-slot-value summary '(:struct ffi:rtt) name)))
        (setf (cffi:foreign-slot-value summary '(:struct ffi:rtt) :struct-size)
              (cffi:foreign-type-size '(:struct ffi:rtt)))
        (cffi:with-foreign-string (peer (control-peer there))
          (is (= ffi:+ok+ (ffi:%ping (dcf-thunderbolt::handle here) peer 5 0 10000 summary))))
        (is (= 5 (slot :sent) (slot :received)))
        (is (<= 1 (slot :min-ns) (slot :p50-ns) (slot :max-ns)))))))

(test no-peers-on-lo
  (with-loopback (transport)
    (is (null (discover transport :timeout 0)))
    (is (null (discover transport :timeout 0.15)))
    (signals type-error (discover transport :timeout nil))))

(test all-statistics
  (with-pair (here there)
    (let ((before (statistics here)))
      (is (eq t (getf before :link-up)))
      (is (= 0 (getf before :messages-sent) (getf before :streams-open) (getf before :errors)))
      (is (equal (remove :struct-size (ffi:slots 'ffi:stats))
                 (loop for (name) on before by #'cddr collect name))))
    (send-message here (pattern 10) (control-peer there))
    (receive-message there :timeout +generous+)
    (measure-rtt here (control-peer there) :timeout +generous+)
    (with-data-stream (near here (data-peer there))
      (with-open-stream (far (accept-data-stream there :accept-timeout +generous+))
        (write-sequence (pattern 1000) near)
        (finish-output near)
        (read-sequence (pattern 1000) far)
        (is (= 1 (getf (statistics here) :streams-open)))))
    (ignore-errors (send-message here (octets 1) "nowhere"))
    (let ((here (statistics here))
          (there (statistics there)))
      (is (= 1 (getf here :messages-sent) (getf there :messages-received)))
      (is (= 10 (getf here :bytes-sent) (getf there :bytes-received)))
      (is (= 1 (getf here :connections-initiated) (getf there :connections-accepted)))
      (is (= 1000 (getf here :stream-bytes-sent) (getf there :stream-bytes-received)))
      (is (= 1 (getf here :pings-sent) (getf here :pongs-received) (getf there :pings-answered)))
      (is (= 1 (getf here :errors)))
      (is (plusp (getf here :uptime-ns)))
      (is (plusp (getf here :last-rtt-ns)))
      (is (plusp (getf here :udp-receive-buffer))))
    (let ((uptime (getf (statistics here) :uptime-ns)))
      (reset-statistics here)
      (is (= 0 (getf (statistics here) :messages-sent)))
      (is (> (+ uptime (* +generous+ (expt 10 9))) (getf (statistics here) :uptime-ns))))))
