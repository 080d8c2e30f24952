# SPDX-License-Identifier: MIT
#
# VQ7_TSAN_RUNNER: what to start a program built with -fsanitize=thread by, or
# OFF with a message where none runs here. Tried once, at the first configure:
# older runtimes refuse an address space laid out too randomly, which setarch -R
# turns off; and a container may forbid that.
if(DEFINED VQ7_TSAN_RUNNER)
  return()
endif()
set(VQ7_TSAN_RUNNER OFF)
if(VQ7_SANITIZE)
  message(STATUS "ThreadSanitizer left out: not together with other instrumentation")
  return()
endif()

set(folder ${CMAKE_CURRENT_BINARY_DIR}/tsan)
file(WRITE ${folder}/try.cpp
  "#include <thread>\nint main() { std::thread t([] {}); t.join(); return 0; }\n")
execute_process(COMMAND ${CMAKE_CXX_COMPILER} -fsanitize=thread -pthread ${folder}/try.cpp
  -o ${folder}/try RESULT_VARIABLE result OUTPUT_QUIET ERROR_QUIET)
if(result EQUAL 0)
  find_program(VQ7_ENV env)
  find_program(VQ7_SETARCH setarch)
  foreach(runner IN ITEMS "${VQ7_ENV}" "${VQ7_SETARCH};-R")
    execute_process(COMMAND ${runner} ${folder}/try RESULT_VARIABLE result
      OUTPUT_QUIET ERROR_QUIET TIMEOUT 20)
    if(result EQUAL 0)
      set(VQ7_TSAN_RUNNER "${runner}" CACHE INTERNAL "Starts a ThreadSanitizer program")
      break()
    endif()
  endforeach()
endif()
if(NOT VQ7_TSAN_RUNNER)
  message(STATUS "ThreadSanitizer left out: no program built with it runs here")
endif()
