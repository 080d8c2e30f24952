// SPDX-License-Identifier: MIT
//
// The results that virtio_pci.h documents, all of which the corpus gives.
#pragma once

#include "reached.h"

namespace fuzz {

enum Function : unsigned {
    kInit,
    kResetDevice,
    kNegotiateFeatures,
    kQueueMax,
    kQueueSetup,
    kVector,
    kRead,
    kWrite,
    kFunctions
};

const Documented kDocumented[] = {
    {kInit, STATUS_SUCCESS, "Init STATUS_SUCCESS"},
    {kInit, STATUS_INVALID_PARAMETER, "Init STATUS_INVALID_PARAMETER"},
    {kInit, STATUS_NOT_SUPPORTED, "Init STATUS_NOT_SUPPORTED"},
    {kInit, STATUS_DEVICE_CONFIGURATION_ERROR, "Init STATUS_DEVICE_CONFIGURATION_ERROR"},
    {kInit, STATUS_NOT_FOUND, "Init STATUS_NOT_FOUND"},
    {kResetDevice, STATUS_SUCCESS, "Reset STATUS_SUCCESS"},
    {kResetDevice, STATUS_INVALID_DEVICE_STATE, "Reset STATUS_INVALID_DEVICE_STATE"},
    {kResetDevice, STATUS_IO_TIMEOUT, "Reset STATUS_IO_TIMEOUT"},
    {kResetDevice, STATUS_DEVICE_DOES_NOT_EXIST, "Reset STATUS_DEVICE_DOES_NOT_EXIST"},
    {kNegotiateFeatures, STATUS_SUCCESS, "Negotiate STATUS_SUCCESS"},
    {kNegotiateFeatures, STATUS_NOT_SUPPORTED, "Negotiate STATUS_NOT_SUPPORTED"},
    {kNegotiateFeatures, STATUS_INVALID_DEVICE_STATE, "Negotiate STATUS_INVALID_DEVICE_STATE"},
    {kQueueMax, STATUS_SUCCESS, "QueueMaxSize STATUS_SUCCESS"},
    {kQueueMax, STATUS_NOT_FOUND, "QueueMaxSize STATUS_NOT_FOUND"},
    {kQueueMax, STATUS_DEVICE_CONFIGURATION_ERROR,
     "QueueMaxSize STATUS_DEVICE_CONFIGURATION_ERROR"},
    {kQueueSetup, STATUS_SUCCESS, "QueueSetup STATUS_SUCCESS"},
    {kQueueSetup, STATUS_INVALID_PARAMETER, "QueueSetup STATUS_INVALID_PARAMETER"},
    {kQueueSetup, STATUS_NOT_FOUND, "QueueSetup STATUS_NOT_FOUND"},
    {kQueueSetup, STATUS_DEVICE_BUSY, "QueueSetup STATUS_DEVICE_BUSY"},
    {kQueueSetup, STATUS_INSUFFICIENT_RESOURCES, "QueueSetup STATUS_INSUFFICIENT_RESOURCES"},
    {kQueueSetup, STATUS_DEVICE_CONFIGURATION_ERROR,
     "QueueSetup STATUS_DEVICE_CONFIGURATION_ERROR"},
    {kVector, STATUS_SUCCESS, "SetConfigVector STATUS_SUCCESS"},
    {kVector, STATUS_INVALID_PARAMETER, "SetConfigVector STATUS_INVALID_PARAMETER"},
    {kVector, STATUS_INSUFFICIENT_RESOURCES, "SetConfigVector STATUS_INSUFFICIENT_RESOURCES"},
    {kRead, STATUS_SUCCESS, "ReadConfig STATUS_SUCCESS"},
    {kRead, STATUS_BUFFER_OVERFLOW, "ReadConfig STATUS_BUFFER_OVERFLOW"},
    {kRead, STATUS_DEVICE_DATA_ERROR, "ReadConfig STATUS_DEVICE_DATA_ERROR"},
    {kWrite, STATUS_SUCCESS, "WriteConfig STATUS_SUCCESS"},
    {kWrite, STATUS_BUFFER_OVERFLOW, "WriteConfig STATUS_BUFFER_OVERFLOW"},
};

} // namespace fuzz
