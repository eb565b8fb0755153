;;;; The program: lisp ROLE work=messages|stream and the arguments of messages_dcf or stream_dcf.

(in-package #:dcf-thunderbolt/bench)

(defun main ()
  (sb-ext:disable-debugger)
  (let* ((*arguments* (rest sb-ext:*posix-argv*))
         (role (first *arguments*))
         (work (text-argument "work")))
    (cond ((equal work "messages") (messages role))
          ((equal work "stream") (streams role))
          (t (error "work=~A is not messages or stream" work))))
  (finish-output)
  (sb-ext:exit))
