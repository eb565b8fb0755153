;;;; Round trips and discovery.

(in-package #:dcf-thunderbolt)

(defun seconds (nanoseconds)
  (/ nanoseconds 1d9))

(defun measure-rtt (transport peer &key (timeout 1))
  "Measures one round trip to PEER. Returns its seconds, a double-float, or NIL when no answer came
within TIMEOUT seconds. When nothing listens on that port of the peer, or no host has the address, that is
an error."
  (cffi:with-foreign-object (time :uint64)
    (with-peer (pointer peer)
      (in-slices (slice timeout :growing t)
        (calling ((%measure-rtt (handle transport) pointer slice time))
          (+ok+ (seconds (cffi:mem-ref time :uint64)))
          ((+err-timeout+ +would-block+) nil))))))

(defun summary (sent times)
  "The summary of SENT pings, of which those with TIMES were answered."
  (let* ((times (sort (coerce times 'vector) #'<))
         (count (length times)))
    (flet ((percentile (percent)
             (and (plusp count)
                  (aref times (max 0 (1- (ceiling (* count percent) 100)))))))
      (list :sent sent
            :received count
            :min (percentile 0)
            :mean (and (plusp count) (/ (reduce #'+ times) count))
            :p50 (percentile 50)
            :p90 (percentile 90)
            :p99 (percentile 99)
            :p999 (percentile 999/10)
            :max (percentile 100)))))

(defun ping (transport peer &key (count 10) (interval 0) (timeout 1))
  "Measures COUNT round trips to PEER, one after another: the next INTERVAL seconds after the last,
at once when that is 0. Each waits at most TIMEOUT seconds. Returns a property list: :SENT and
:RECEIVED are numbers; :MIN, :MEAN, :P50, :P90, :P99, :P999 and :MAX are seconds, or NIL when no
answer came at all. A peer on which nothing listens, or that is not there, is an error, unless it
answered before: then it counts as no answer."
  (check-type count (integer 1))
  (check-type interval (real 0))
  (flet ((wait-for-turn (number start)
           (unless (zerop interval)
             (sleep (max 0 (/ (- (+ start (* 1000 number interval)) (clock)) 1000))))))
    (summary count
             (loop with start = (clock)
                   with answered = nil
                   for number from 0 below count
                   for time = (progn
                                (wait-for-turn number start)
                                (handler-case (measure-rtt transport peer :timeout timeout)
                                  ((or connection-refused-error host-unreachable-error) (condition)
                                    (unless answered (error condition)))))
                   when time
                     do (setf answered t)
                     and collect time))))

;;; Discovery

(defun discover-once (transport slice most)
  "The peers that answer within SLICE ms, as a list of (ADDRESS . NANOSECONDS). It ends when MOST of
them have answered, unless that is NIL."
  (cffi:with-foreign-objects ((peers '(:struct peer) +max-discovered+) (count :size))
    (calling ((if most
                  (%discover-first (handle transport) slice peers most count)
                  (%discover (handle transport) slice peers +max-discovered+ count)))
      ((+ok+ +would-block+)
       (loop for index below (cffi:mem-ref count :size)
             for peer = (cffi:mem-aptr peers '(:struct peer) index)
             collect (cons (cffi:foreign-string-to-lisp
                            (cffi:foreign-slot-pointer peer '(:struct peer) :address)
                            :max-chars +peer-size+ :encoding :utf-8)
                           (cffi:foreign-slot-value peer '(:struct peer) :rtt-ns)))))))

(defun discover (transport &key (timeout 1) most)
  "Finds the other transports on the link, which takes TIMEOUT seconds; with MOST, until so many have
answered: a cable has one. Returns a list of property lists: :ADDRESS, a peer for every other
function, and :RTT, the seconds that its fastest answer took. An interface without multicast, such as
lo, has no peers. The first 1,024 that answer are found."
  (check-type timeout (real 0))
  (check-type most (or null (integer 1 #.+max-discovered+)))
  (let ((known (make-hash-table :test 'equal))
        (found '()))
    (in-slices (slice timeout)
      (loop for (address . time) in (discover-once transport slice most)
            for peer = (gethash address known)
            if peer do (setf (cdr peer) (min (cdr peer) time))
              else if (< (hash-table-count known) (or most +max-discovered+))
                     do (push (setf (gethash address known) (cons address time)) found))
      (and most (<= most (hash-table-count known))))
    (loop for (address . time) in (nreverse found)
          collect (list :address address :rtt (seconds time)))))

;;; Peers

(defun last-heard (transport peer)
  "How many seconds ago anything came from PEER, a double-float. NIL when nothing did, or when TRANSPORT
has neither a PEER-HANDLER nor REMEMBER-PEERS."
  (cffi:with-foreign-object (ago :uint64)
    (with-peer (pointer peer)
      (calling ((%last-heard (handle transport) pointer ago))
        (+ok+ (seconds (cffi:mem-ref ago :uint64)))
        (+would-block+ nil)))))

(defun forget-peer (transport peer)
  "Forgets when PEER was last heard from. A PEER-HANDLER is not told that it is gone, but that it appears
when it is heard from again."
  (with-peer (pointer peer)
    (call (%forget (handle transport) pointer)))
  (values))
