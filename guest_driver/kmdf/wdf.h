/* SPDX-License-Identifier: MIT */
/*
 * The KMDF 1.9 subset that this project uses, under the name of Microsoft's
 * header: a driver says #include <ntddk.h>, #include <wdf.h> and builds with
 * either.
 */
#ifndef KMDF_WDF_H_
#define KMDF_WDF_H_

#include "wdf_types.h"
#include "wdf_object.h"
#include "wdf_driver.h"
#include "wdf_device.h"
#include "wdf_io_queue.h"
#include "wdf_request.h"
#include "wdf_interrupt.h"
#include "wdf_dma.h"
#include "wdf_sync.h"

#endif /* KMDF_WDF_H_ */
