# SPDX-License-Identifier: MIT
#
# A program in a folder outside of this repository that uses the library: installed;
# taken in by add_subdirectory; or as a driver author does, from a copy of lib/ and
# nothing else, with CMake (copy) or with a list of its sources (sources).
#
# cmake -DWAY=find_package|add_subdirectory|copy|sources -DSOURCE= -DBUILD= -DWORK=
#       -DCONFIG= -DSANITIZE= -DCXX= -P this
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
set(lib ${SOURCE}/lib)
if(WAY MATCHES "copy|sources")
  file(COPY ${SOURCE}/lib DESTINATION ${WORK}/project)
  set(lib ${WORK}/project/lib)
endif()
if(WAY STREQUAL "sources")
  file(GLOB sources ${lib}/*.cpp)
  run(${CXX} -std=c++98 -I${lib} ${SOURCE}/unit/compile/consumer/main.cpp ${sources}
      -o ${WORK}/consumer)
  run(${WORK}/consumer)
  return()
endif()
run(${CMAKE_COMMAND} -S ${SOURCE}/unit/compile/consumer -B ${WORK}/build -DWAY=${WAY}
    -DVQ7_LIB_DIR=${lib} -DCMAKE_PREFIX_PATH=${WORK}/prefix ${flags}
    -DCMAKE_BUILD_TYPE=${CONFIG})
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${WORK}/build/consumer)
