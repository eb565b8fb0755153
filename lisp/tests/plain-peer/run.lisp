;;;; The test driver's way in: the plain peer on this host, until the driver says "end".
;;;;
;;;;   sbcl --script run.lisp

(require "asdf")

(asdf:initialize-source-registry
 `(:source-registry (:directory ,(merge-pathnames "../../" *load-truename*)) :inherit-configuration))
(let ((*standard-output* (make-broadcast-stream)))
  (asdf:load-system "dcf-thunderbolt/plain-peer"))
(uiop:symbol-call '#:dcf-thunderbolt/plain-peer '#:run)
(uiop:quit 0)
