# SPDX-License-Identifier: MIT
#
# cmake -DWAY=find_package|add_subdirectory -DSOURCE= -DBUILD= -DWORK=
#       -DCONFIG= -DSANITIZE= -P this
file(REMOVE_RECURSE ${WORK})
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${ARGN}\n${text}")
  endif()
endfunction()

if(SANITIZE)
  set(flags "-DCMAKE_CXX_FLAGS=-fsanitize=address,undefined")
else()
  set(flags "-DCMAKE_CXX_FLAGS=")
endif()
if(WAY STREQUAL "find_package")
  run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix --config ${CONFIG})
endif()
run(${CMAKE_COMMAND} -S ${SOURCE}/unit/compile/consumer -B ${WORK}/build -DWAY=${WAY}
    -DVQ7_LIB_DIR=${SOURCE}/lib -DCMAKE_PREFIX_PATH=${WORK}/prefix ${flags}
    -DCMAKE_BUILD_TYPE=${CONFIG})
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${WORK}/build/consumer)
